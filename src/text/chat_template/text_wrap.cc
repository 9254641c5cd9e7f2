#include "text/chat_template/text_wrap.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include <algorithm>
#include <memory>

#include "base/utf8.h"
#include "text/chat_template/py_text.h"
#include "text/chat_template/value.h"

namespace zhiyin::jinja {
namespace {

// textwrap.TextWrapper.wordsep_re: white space, an em-dash between words, or a word up to a
// hyphen that may end a line.
constexpr char kWithHyphens[] =
    R"([\t\n\x0b\x0c\r ]+)"
    R"(|(?<=[\w!"'&.,?])-{2,}(?=\w))"
    R"(|[^\t\n\x0b\x0c\r ]+?(?:)"
    R"(-(?:(?<=[^\d\W]{2}-)|(?<=[^\d\W]-[\w!"'&.,?]-))(?=[^\d\W]-?[^\d\W]))"
    R"(|(?=[\t\n\x0b\x0c\r ]|\z))"
    R"(|(?<=[\w!"'&.,?])(?=-{2,}\w)))";
constexpr char kWithoutHyphens[] = R"([\t\n\x0b\x0c\r ]+|[^\t\n\x0b\x0c\r ]+)";

struct CodeDeleter {
  void operator()(pcre2_code* code) const { pcre2_code_free(code); }
};
using Code = std::unique_ptr<pcre2_code, CodeDeleter>;

Code compile(const char* pattern) {
  int error = 0;
  PCRE2_SIZE offset = 0;
  return Code(pcre2_compile(reinterpret_cast<PCRE2_SPTR>(pattern), PCRE2_ZERO_TERMINATED,
                            PCRE2_UTF | PCRE2_UCP, &error, &offset, nullptr));
}

std::vector<std::string> split_chunks(const std::string& text, bool hyphens) {
  static const Code with_hyphens = compile(kWithHyphens), without = compile(kWithoutHyphens);
  const pcre2_code* code = hyphens ? with_hyphens.get() : without.get();
  pcre2_match_data* match = pcre2_match_data_create_from_pattern(code, nullptr);
  std::vector<std::string> chunks;
  size_t at = 0;
  while (at < text.size()) {
    const int found = pcre2_match(code, reinterpret_cast<PCRE2_SPTR>(text.data()), text.size(), at,
                                  PCRE2_NO_UTF_CHECK, match, nullptr);
    if (found < 0) break;
    const PCRE2_SIZE* bounds = pcre2_get_ovector_pointer(match);
    if (bounds[0] > at) chunks.push_back(text.substr(at, bounds[0] - at));
    chunks.push_back(text.substr(bounds[0], bounds[1] - bounds[0]));
    at = bounds[1];
  }
  pcre2_match_data_free(match);
  if (at < text.size()) chunks.push_back(text.substr(at));
  return chunks;
}

bool is_blank(const std::string& text) { return strip(text, Side::kBoth).empty(); }

// Puts what fits of a word longer than a line on this one.
void break_word(std::vector<std::string>& waiting, std::string& line, int64_t room,
                const WrapStyle& style) {
  std::string& word = waiting.back();
  if (!style.break_long_words) {
    if (line.empty()) {
      line = word;
      waiting.pop_back();
    }
    return;
  }
  size_t cut = byte_offset(word, static_cast<size_t>(room < 1 ? 1 : room));
  if (style.break_on_hyphens && room >= 1 && count_code_points(word) > static_cast<size_t>(room)) {
    const size_t hyphen = std::string_view(word).substr(0, cut).rfind('-');
    const bool inside = hyphen != std::string::npos && hyphen > 0 &&
                        word.substr(0, hyphen).find_first_not_of('-') != std::string::npos;
    if (inside) cut = hyphen + 1;
  }
  line += word.substr(0, cut);
  word.erase(0, cut);
}

}  // namespace

std::vector<std::string> wrap_text(std::string_view text, const WrapStyle& style) {
  std::vector<std::string> waiting = split_chunks(sanitize_utf8(text), style.break_on_hyphens);
  if (style.width <= 0) {
    raise("ValueError", "invalid width ", style.width, " (must be > 0)");
  }
  std::reverse(waiting.begin(), waiting.end());
  std::vector<std::string> lines;
  while (!waiting.empty()) {
    if (!lines.empty() && is_blank(waiting.back())) waiting.pop_back();
    std::vector<std::string> line;
    int64_t length = 0;
    while (!waiting.empty()) {
      const auto size = static_cast<int64_t>(count_code_points(waiting.back()));
      if (length + size > style.width) break;
      line.push_back(std::move(waiting.back()));
      waiting.pop_back();
      length += size;
    }
    const bool too_long =
        !waiting.empty() && static_cast<int64_t>(count_code_points(waiting.back())) > style.width;
    if (too_long) {
      std::string part;
      // An unbreakable word starts a line of its own unless this one is empty.
      if (style.break_long_words || line.empty()) {
        break_word(waiting, part, style.width - length, style);
        line.push_back(std::move(part));
      }
    }
    if (!line.empty() && is_blank(line.back())) line.pop_back();
    if (!line.empty()) lines.push_back(join(line, ""));
  }
  return lines;
}

}  // namespace zhiyin::jinja
