#include "text/regex.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include <utility>

#include "base/error.h"

namespace zhiyin {
namespace {

// Of backtracking steps in one match; patterns that need more would stall on hostile text.
constexpr uint32_t kMatchLimit = 1'000'000;
constexpr size_t kMaxPatternBytes = 1 << 16;

std::string message(int code) {
  PCRE2_UCHAR text[256];
  pcre2_get_error_message(code, text, sizeof text);
  return reinterpret_cast<const char*>(text);
}

struct FreeMatchData {
  void operator()(pcre2_match_data* data) const { pcre2_match_data_free(data); }
};
struct FreeContext {
  void operator()(pcre2_match_context* context) const { pcre2_match_context_free(context); }
};

}  // namespace

struct Regex::Compiled {
  explicit Compiled(pcre2_code* compiled) : code(compiled) {}
  ~Compiled() { pcre2_code_free(code); }
  Compiled(const Compiled&) = delete;
  Compiled& operator=(const Compiled&) = delete;
  pcre2_code* code;
};

Regex::Regex(std::string pattern) : pattern_(std::move(pattern)) {
  check(pattern_.size() <= kMaxPatternBytes, ErrorCode::kUnsupported, "regular expression of ",
        pattern_.size(), " bytes, at most ", kMaxPatternBytes, " are taken");
  int code = 0;
  PCRE2_SIZE offset = 0;
  pcre2_code* compiled = pcre2_compile(
      reinterpret_cast<PCRE2_SPTR>(pattern_.data()), pattern_.size(),
      PCRE2_UTF | PCRE2_UCP | PCRE2_MULTILINE | PCRE2_MATCH_INVALID_UTF | PCRE2_NEVER_BACKSLASH_C,
      &code, &offset, nullptr);
  check(compiled != nullptr, ErrorCode::kUnsupported, "regular expression ", pattern_,
        " does not compile at byte ", offset, ": ", message(code));
  compiled_ = std::make_unique<Compiled>(compiled);
  pcre2_jit_compile(compiled, PCRE2_JIT_COMPLETE);  // where it cannot, matching interprets
}

Regex::~Regex() = default;
Regex::Regex(Regex&&) noexcept = default;
Regex& Regex::operator=(Regex&&) noexcept = default;

std::string Regex::escape(std::string_view text) {
  std::string out;
  for (const char c : text) {
    const bool is_word = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') ||
                         (c >= 'a' && c <= 'z') || (static_cast<unsigned char>(c) & 0x80) != 0;
    if (!is_word) out += '\\';
    out += c;
  }
  return out;
}

Span Regex::find(std::string_view text, size_t from) const {
  thread_local const std::unique_ptr<pcre2_match_data, FreeMatchData> data(
      pcre2_match_data_create(1, nullptr));
  thread_local const std::unique_ptr<pcre2_match_context, FreeContext> context = [] {
    std::unique_ptr<pcre2_match_context, FreeContext> made(pcre2_match_context_create(nullptr));
    pcre2_set_match_limit(made.get(), kMatchLimit);
    return made;
  }();
  const int count = pcre2_match(compiled_->code, reinterpret_cast<PCRE2_SPTR>(text.data()),
                                text.size(), from, PCRE2_NOTEMPTY, data.get(), context.get());
  if (count == PCRE2_ERROR_NOMATCH) return {kNoMatch, kNoMatch};
  check(count >= 0, ErrorCode::kFailed, "regular expression ", pattern_, " at byte ", from,
        " of the text: ", message(count));
  const PCRE2_SIZE* const offsets = pcre2_get_ovector_pointer(data.get());
  return {offsets[0], offsets[1]};
}

}  // namespace zhiyin
