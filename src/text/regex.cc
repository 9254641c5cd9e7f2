#include "text/regex.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include <utility>

#include "base/error.h"

namespace zhiyin {
namespace {

// Of backtracking steps in one match; patterns that need more would stall on hostile text.
constexpr uint32_t kMatchLimit = 4'000'000;
// Of memory for backtracking, taken as needed: long words of patterns with nested repetitions.
constexpr size_t kMaxStackBytes = size_t{16} << 20;
constexpr size_t kMaxPatternBytes = 1 << 16;

std::string message(int code) {
  PCRE2_UCHAR text[256];
  pcre2_get_error_message(code, text, sizeof text);
  return reinterpret_cast<const char*>(text);
}

// What one thread needs to match, whatever the pattern.
class Matching {
 public:
  Matching()
      : data_(pcre2_match_data_create(1, nullptr)),
        context_(pcre2_match_context_create(nullptr)),
        stack_(pcre2_jit_stack_create(32 << 10, kMaxStackBytes, nullptr)) {
    check(data_ != nullptr && context_ != nullptr && stack_ != nullptr, ErrorCode::kOutOfMemory,
          "regular expressions: no memory to match with");
    pcre2_set_match_limit(context_, kMatchLimit);
    pcre2_jit_stack_assign(context_, nullptr, stack_);
  }
  ~Matching() {
    pcre2_jit_stack_free(stack_);
    pcre2_match_context_free(context_);
    pcre2_match_data_free(data_);
  }
  Matching(const Matching&) = delete;
  Matching& operator=(const Matching&) = delete;

  // PCRE2's result code.
  int run(const pcre2_code* code, std::string_view text, size_t from, TextSpan& match) {
    const int count = pcre2_match(code, reinterpret_cast<PCRE2_SPTR>(text.data()), text.size(),
                                  from, PCRE2_NOTEMPTY, data_, context_);
    const PCRE2_SIZE* const offsets = pcre2_get_ovector_pointer(data_);
    if (count >= 0) match = {offsets[0], offsets[1]};
    return count;
  }

 private:
  pcre2_match_data* data_;
  pcre2_match_context* context_;
  pcre2_jit_stack* stack_;
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

TextSpan Regex::find(std::string_view text, size_t from) const {
  thread_local Matching matching;
  TextSpan match = {kNoMatch, kNoMatch};
  const int code = matching.run(compiled_->code, text, from, match);
  check(code >= 0 || code == PCRE2_ERROR_NOMATCH, ErrorCode::kFailed, "regular expression ",
        pattern_, " at byte ", from, " of the text: ", message(code));
  return match;
}

}  // namespace zhiyin
