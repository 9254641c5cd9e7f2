#include "text/scanner.h"

#include <algorithm>
#include <array>
#include <iterator>

#include "text/unicode.h"

namespace zhiyin {

namespace pattern {
#define ZY_CONTRACTIONS "(?i:'s|'t|'re|'ve|'m|'ll|'d)"
#define ZY_SPACES R"(\s*[\r\n]+|\s+(?!\S)|\s+)"
#define ZY_UPPER R"([\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}])"
#define ZY_LOWER R"([\p{Ll}\p{Lm}\p{Lo}\p{M}])"
const char kGpt2[] =
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";
const char kLlama3[] =
    ZY_CONTRACTIONS R"(|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|)" ZY_SPACES;
const char kQwen2[] =
    ZY_CONTRACTIONS R"(|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|)" ZY_SPACES;
const char kQwen35[] = ZY_CONTRACTIONS
    R"(|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|)" ZY_SPACES;
const char kSeedCoder[] =
    ZY_CONTRACTIONS R"(|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1}| ?[^\s\p{L}\p{N}\r\n]+|)" ZY_SPACES;
const char kGpt4o[] = R"([^\r\n\p{L}\p{N}]?)" ZY_UPPER "*" ZY_LOWER "+" ZY_CONTRACTIONS
                      R"(?|[^\r\n\p{L}\p{N}]?)" ZY_UPPER "+" ZY_LOWER "*" ZY_CONTRACTIONS
                      R"(?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|)" ZY_SPACES;
const char kTekken[] =
    R"([^\r\n\p{L}\p{N}]?)" ZY_UPPER "*" ZY_LOWER R"(+|[^\r\n\p{L}\p{N}]?)" ZY_UPPER "+" ZY_LOWER
    R"(*|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|)" ZY_SPACES;
const char kKimiK2[] = R"([^\r\n\p{L}\p{N}]?)" ZY_UPPER "*" ZY_LOWER "+" ZY_CONTRACTIONS
                       R"(?|[^\r\n\p{L}\p{N}]?)" ZY_UPPER "+" ZY_LOWER "*" ZY_CONTRACTIONS
                       R"(?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|)" ZY_SPACES;
const char kDeepSeekV3[] =
    R"([!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+)"
    R"(| ?[\p{P}\p{S}]+[\r\n]*|)" ZY_SPACES;
const char kDeepSeekV3Cjk[] = "[一-龥\u3040-ゟ゠-ヿ]+";
// Letters with case. Some are escaped since normalizing this file would change them.
const char kDeepSeekLetters[] =
    "\\s?[A-Za-zµÀ-ÖØ-öø-ƺƼ-ƿǄ-ʓʕ-ʯͰ-ͳͶͷͻ-ͽͿΆΈ-ΊΌΎ-ΡΣ-ϵϷ-ҁҊ-ԯԱ-ՖႠ-ჅᎠ-Ᏽᏸ-ᏽᲐ-ᲺᲽ-Ჿᴀ-ᴫᵫ-ᵷᵹ-ᶚḀ"
    "-ἕἘ-Ἕἠ-ὅὈ-Ὅὐ-ὗὙὛὝ\u1F5F-\u1F7Dᾀ-ᾴᾶ-ᾼ\u1FBEῂ-ῄῆ-ῌ\u1FD0-\u1FD3\u1FD6-\u1FDBῠ-Ῥῲ-ῴῶ-ῼℂ"
    "ℇℊ-ℓℕℙ-ℝℤ\u2126ℨ\u212A-\u212Dℯ-ℴℹℼ-ℿⅅ-ⅉⅎↃↄⰀ-ⱻⱾ-ⳤⳫ-ⳮⳲⳳꙀ-ꙭꚀ-ꚛꜢ-ꝯꝱ-ꞇꞋ-ꞎꭰ-ꮿﬀ-ﬆﬓ-ﬗＡ-Ｚａ-ｚ𐐀"
    "-𐑏𐒰-𐓓𐓘-𐓻𐲀-𐲲𐳀-𐳲𑢠-𑣟𞤀-𞥃]+";
const char kDeepSeekPunctuation[] = "\\s?[!-/:-~！-／：-～‘-‟\u3000-。]+";
const char kDeepSeekCjk[] = "[一-龥\u0800-一가-\uD7FF]+";
const char kNewline[] = R"([\r\n])";
const char kSpace[] = R"(\s)";
const char kTrailingSpace[] = R"(\s+$)";
const char kSpaceLetters[] = R"(\s?\p{L}+)";
const char kSpacePunctuation[] = R"(\s?\p{P}+)";
const char kDigit[] = R"(\p{N})";
const char kDigits[] = R"(\p{N}+)";
const char kDigits3[] = R"(\p{N}{1,3})";
const char kBertPunctuation[] = R"([\p{P}!-/:-@\[-`{-~])";
// \w as Rust has it: PCRE2's leaves out marks and joiners.
#define ZY_WORD R"(\p{L}\p{M}\p{Nd}\p{Nl}\p{Pc}\x{200C}\x{200D}\x{24B6}-\x{24E9})"
const char kWordOrSymbols[] = "[" ZY_WORD "]+|[^" ZY_WORD R"(\s]+)";
const char kLines[] = R"([^\n]+|[\n]+)";
const char kMetaspace[] = "\u2581";
const char kMetaspaceWords[] = "\u2581+[^\u2581]*|[^\u2581]+";
}  // namespace pattern

namespace {

constexpr TextSpan kNone = {kNoMatch, kNoMatch};

struct Char {
  char32_t code_point;
  uint8_t classes;
  uint8_t length;
};

// A text with the class table at hand. Positions past the end read as the code point 0 of length 0
// and no class.
class Reader {
 public:
  explicit Reader(std::string_view text) : text_(text), classes_(code_point_classes()) {}

  size_t size() const { return text_.size(); }

  Char at(size_t i) const {
    if (i >= text_.size()) return {0, 0, 0};
    const auto lead = static_cast<unsigned char>(text_[i]);
    if (lead < 0x80) return {lead, classes_[lead], 1};
    if ((lead & 0xF0) == 0xE0 && i + 2 < text_.size()) {  // the common case of Chinese, inline
      const auto second = static_cast<unsigned char>(text_[i + 1]);
      const auto third = static_cast<unsigned char>(text_[i + 2]);
      const char32_t c = ((lead & 0x0Fu) << 12) | ((second & 0x3Fu) << 6) | (third & 0x3Fu);
      if ((second & 0xC0) == 0x80 && (third & 0xC0) == 0x80 && c >= 0x800 && (c >> 11) != 0x1B) {
        return {c, classes_[c], 3};
      }
    }
    const DecodedCodePoint next = decode_utf8(text_, i);
    if (!next.ok) return {kReplacementCharacter, 0, 1};
    return {next.code_point, classes_[next.code_point], static_cast<uint8_t>(next.length)};
  }

  // The end of the longest run from i on whose characters satisfy the condition.
  template <typename Condition>
  size_t run(size_t i, Condition condition, size_t limit = kNoMatch) const {
    for (; limit > 0; --limit) {
      const Char c = at(i);
      if (c.length == 0 || !condition(c)) break;
      i += c.length;
    }
    return i;
  }

 private:
  std::string_view text_;
  const uint8_t* classes_;
};

bool is_newline(Char c) { return c.code_point == '\r' || c.code_point == '\n'; }
bool is_space(Char c) { return (c.classes & kSpace) != 0; }
bool is_letter(Char c) { return (c.classes & kLetter) != 0; }
bool is_number(Char c) { return (c.classes & kNumber) != 0; }
bool is_letter_or_mark(Char c) { return (c.classes & (kLetter | kMark)) != 0; }
bool is_punctuation_or_symbol(Char c) { return (c.classes & (kPunctuation | kSymbol)) != 0; }
bool is_ascii_letter(Char c) {
  return (c.code_point | 0x20) >= 'a' && (c.code_point | 0x20) <= 'z' && c.length == 1;
}
// [^\s\p{L}\p{N}]
bool is_other(Char c) { return (c.classes & (kSpace | kLetter | kNumber)) == 0 && c.length > 0; }
// [\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}] and [\p{Ll}\p{Lm}\p{Lo}\p{M}]
bool is_gpt4o_upper(Char c) { return is_letter_or_mark(c) && (c.classes & kLower) == 0; }
bool is_gpt4o_lower(Char c) { return is_letter_or_mark(c) && (c.classes & kUpper) == 0; }

// 's 't 're 've 'm 'll 'd at i, where an apostrophe stands: the end, or i.
template <bool kIgnoreCase>
size_t contraction(const Reader& reader, size_t i) {
  const auto fold = [](char32_t c) -> char32_t {
    if (!kIgnoreCase) return c;
    if (c == 0x17F) return 's';  // the long s, in the same case class
    return c >= 'A' && c <= 'Z' ? c | 0x20 : c;
  };
  if (reader.at(i).code_point != '\'') return i;
  const Char first = reader.at(i + 1);
  const size_t after = i + 1 + first.length;
  switch (fold(first.code_point)) {
    case 's':
    case 't':
    case 'm':
    case 'd':
      return after;
    case 'r':
    case 'v':
      return fold(reader.at(after).code_point) == 'e' ? after + 1 : i;
    case 'l':
      return fold(reader.at(after).code_point) == 'l' ? after + 1 : i;
    default:
      return i;
  }
}

// \s*[\r\n]+|\s+(?!\S)|\s+ at i, where a space stands. The first arm takes the run of spaces up to
// its last line break, the second all of it at the end of the text or all but its last space.
size_t spaces(const Reader& reader, size_t i, bool newline_arm) {
  size_t end = i, last = i, after_newline = i;
  for (Char c = reader.at(i); is_space(c); c = reader.at(end)) {
    last = end;
    end += c.length;
    if (is_newline(c)) after_newline = end;
  }
  if (newline_arm && after_newline > i) return after_newline;
  return end == reader.size() || last == i ? end : last;
}

TextSpan scan_gpt2(std::string_view text, size_t i) {
  const Reader reader(text);
  if (i >= text.size()) return kNone;
  if (const size_t end = contraction<false>(reader, i); end > i) return {i, end};
  const Char first = reader.at(i);
  const size_t body = first.code_point == ' ' ? i + 1 : i;
  const Char c = body == i ? first : reader.at(body);
  if (is_letter(c)) return {i, reader.run(body, is_letter)};
  if (is_number(c)) return {i, reader.run(body, is_number)};
  if (is_other(c)) return {i, reader.run(body, is_other)};
  return {i, spaces(reader, i, false)};
}

// The patterns that follow GPT-4's: contractions in any case, a word with one leading character
// that is no line break, letter or number, numbers of at most so many digits, symbols with the line
// breaks behind them, spaces.
template <int kMaxDigits, bool kMarksAreLetters, bool kNewlinesAfterSymbols>
TextSpan scan_gpt4(std::string_view text, size_t i) {
  const Reader reader(text);
  const auto in_word = [](Char c) {
    return kMarksAreLetters ? is_letter_or_mark(c) : is_letter(c);
  };
  const auto is_symbol = [&](Char c) { return is_other(c) && !in_word(c); };
  if (i >= text.size()) return kNone;
  const Char first = reader.at(i);
  if (in_word(first)) return {i, reader.run(i + first.length, in_word)};
  if (is_number(first)) return {i, reader.run(i + first.length, is_number, kMaxDigits - 1)};
  if (const size_t end = contraction<true>(reader, i); end > i) return {i, end};
  const size_t second = i + first.length;
  if (!is_newline(first) && in_word(reader.at(second))) return {i, reader.run(second, in_word)};
  const size_t body = first.code_point == ' ' ? second : i;
  if (is_symbol(reader.at(body))) {
    size_t end = reader.run(body, is_symbol);
    if (kNewlinesAfterSymbols) end = reader.run(end, is_newline);
    return {i, end};
  }
  return {i, spaces(reader, i, true)};
}

// U*W+ at i, with U upper and W lower as GPT-4o has them; letters without case and marks are both.
// The end, or i where it does not match.
size_t upper_then_lower(const Reader& reader, size_t i) {
  size_t end = i;   // of the run of U
  size_t both = i;  // behind its last character that is also W
  for (Char c = reader.at(i); is_gpt4o_upper(c); c = reader.at(end)) {
    end += c.length;
    if (is_gpt4o_lower(c)) both = end;
  }
  const size_t lower = reader.run(end, is_gpt4o_lower);
  return lower > end ? lower : both;
}

template <int kMaxDigits, bool kContractions, bool kSlashAfterSymbols>
TextSpan scan_gpt4o(std::string_view text, size_t i) {
  const Reader reader(text);
  if (i >= text.size()) return kNone;
  const Char first = reader.at(i);
  const bool takes_prefix = !is_newline(first) && !is_letter(first) && !is_number(first);
  const auto word = [&](size_t end) {
    return TextSpan{i, kContractions ? contraction<true>(reader, end) : end};
  };
  const size_t second = i + first.length;
  if (takes_prefix) {
    if (const size_t end = upper_then_lower(reader, second); end > second) return word(end);
  }
  if (const size_t end = upper_then_lower(reader, i); end > i) return word(end);
  // U+W*: no W can follow, else the arm above had matched.
  if (takes_prefix) {
    if (const size_t end = reader.run(second, is_gpt4o_upper); end > second) return word(end);
  }
  if (const size_t end = reader.run(i, is_gpt4o_upper); end > i) return word(end);
  if (is_number(first)) return {i, reader.run(second, is_number, kMaxDigits - 1)};
  const size_t body = first.code_point == ' ' ? second : i;
  if (is_other(reader.at(body))) {
    const auto is_tail = [](Char c) {
      return is_newline(c) || (kSlashAfterSymbols && c.code_point == '/');
    };
    return {i, reader.run(reader.run(body, is_other), is_tail)};
  }
  return {i, spaces(reader, i, true)};
}

// DeepSeek-V3's third pattern. It does not match everything: digits and controls fall through.
TextSpan scan_deepseek_v3(std::string_view text, size_t from) {
  const Reader reader(text);
  Char first{};
  for (size_t i = from; i < text.size(); i += first.length) {
    first = reader.at(i);
    const size_t second = i + first.length;
    if (first.length == 1 && is_punctuation_or_symbol(first)) {  // all of ASCII's are in the set
      const size_t end = reader.run(second, is_ascii_letter);
      if (end > second) return {i, end};
    }
    const bool takes_prefix =
        !is_newline(first) && !is_letter(first) && !is_punctuation_or_symbol(first);
    if (is_letter_or_mark(first)) return {i, reader.run(i, is_letter_or_mark)};
    if (takes_prefix && is_letter_or_mark(reader.at(second))) {
      return {i, reader.run(second, is_letter_or_mark)};
    }
    const size_t body = first.code_point == ' ' ? second : i;
    if (is_punctuation_or_symbol(reader.at(body))) {
      return {i, reader.run(reader.run(body, is_punctuation_or_symbol), is_newline)};
    }
    if (is_space(first)) return {i, spaces(reader, i, true)};
  }
  return kNone;
}

// An optional leading space (\s?) and then one to kMax characters that satisfy the condition.
template <auto kCondition, bool kLeadingSpace, size_t kMax>
TextSpan scan_run(std::string_view text, size_t from) {
  const Reader reader(text);
  Char first{};
  for (size_t i = from; i < text.size(); i += first.length) {
    first = reader.at(i);
    size_t body = i;
    if (kLeadingSpace && is_space(first) && kCondition(reader.at(i + first.length))) {
      body = i + first.length;
    }
    const size_t end = reader.run(body, kCondition, kMax);
    if (end > body) return {i, end};
  }
  return kNone;
}

TextSpan scan_trailing_space(std::string_view text, size_t from) {
  const Reader reader(text);
  size_t begin = from;
  Char c{};
  for (size_t i = from; i < text.size(); i += c.length) {
    c = reader.at(i);
    if (!is_space(c)) begin = i + c.length;
  }
  return begin < text.size() ? TextSpan{begin, text.size()} : kNone;
}

TextSpan scan_lines(std::string_view text, size_t i) {
  if (i >= text.size()) return kNone;
  const size_t end = text[i] == '\n' ? text.find_first_not_of('\n', i) : text.find('\n', i);
  return {i, std::min(end, text.size())};
}

TextSpan scan_metaspace(std::string_view text, size_t from) {
  const size_t begin = text.find(pattern::kMetaspace, from);
  return begin == std::string_view::npos ? kNone : TextSpan{begin, begin + 3};
}

// ▁▁word
TextSpan scan_metaspace_word(std::string_view text, size_t i) {
  if (i >= text.size()) return kNone;
  size_t body = i;
  while (text.substr(body, 3) == pattern::kMetaspace) body += 3;
  return {i, std::min(text.find(pattern::kMetaspace, body), text.size())};
}

// Code points named one by one and in ranges inside a character class, as DeepSeek's patterns do.
class CodePointRanges {
 public:
  explicit CodePointRanges(std::string_view regex) {
    const size_t open = regex.find('[');
    const std::u32string body = utf8_to_utf32(regex.substr(open + 1, regex.rfind(']') - open - 1));
    for (size_t i = 0; i < body.size(); ++i) {
      const bool range = i + 2 < body.size() && body[i + 1] == '-';
      ranges_.push_back({body[i], range ? body[i + 2] : body[i]});
      if (range) i += 2;
    }
    std::sort(ranges_.begin(), ranges_.end(),
              [](const Range& a, const Range& b) { return a.first < b.first; });
  }
  bool contains(char32_t c) const {
    const auto after = std::upper_bound(ranges_.begin(), ranges_.end(), c,
                                        [](char32_t v, const Range& r) { return v < r.first; });
    return after != ranges_.begin() && c <= std::prev(after)->last;
  }

 private:
  struct Range {
    char32_t first, last;
  };
  std::vector<Range> ranges_;
};

bool is_deepseek_letter(Char c) {
  static const CodePointRanges kRanges(pattern::kDeepSeekLetters);
  return c.length == 1 ? is_ascii_letter(c) : c.length > 1 && kRanges.contains(c.code_point);
}
bool is_deepseek_punctuation(Char c) {
  static const CodePointRanges kRanges(pattern::kDeepSeekPunctuation);
  return c.length > 0 && kRanges.contains(c.code_point);
}
bool is_deepseek_cjk(Char c) {
  return c.length == 3 && ((c.code_point >= 0x0800 && c.code_point <= 0x9FA5) ||
                           (c.code_point >= 0xAC00 && c.code_point <= 0xD7FF));
}
bool is_deepseek_v3_cjk(Char c) {
  return c.length == 3 && ((c.code_point >= 0x4E00 && c.code_point <= 0x9FA5) ||
                           (c.code_point >= 0x3040 && c.code_point <= 0x30FF));
}
bool is_punctuation(Char c) { return (c.classes & kPunctuation) != 0; }
bool is_bert_punctuation(Char c) {
  return is_punctuation(c) || ((c.classes & kSymbol) != 0 && c.length == 1);
}

constexpr size_t kAny = kNoMatch;

struct KnownPattern {
  const char* pattern;
  Scanner scanner;
};
constexpr KnownPattern kKnownPatterns[] = {
    {pattern::kGpt2, scan_gpt2},
    {pattern::kLlama3, scan_gpt4<3, false, true>},
    {pattern::kQwen2, scan_gpt4<1, false, true>},
    {pattern::kQwen35, scan_gpt4<1, true, true>},
    {pattern::kSeedCoder, scan_gpt4<1, false, false>},
    {pattern::kGpt4o, scan_gpt4o<3, true, true>},
    {pattern::kTekken, scan_gpt4o<1, false, true>},
    {pattern::kKimiK2, scan_gpt4o<3, true, false>},
    {pattern::kDeepSeekV3, scan_deepseek_v3},
    {pattern::kDeepSeekV3Cjk, scan_run<is_deepseek_v3_cjk, false, kAny>},
    {pattern::kDeepSeekLetters, scan_run<is_deepseek_letter, true, kAny>},
    {pattern::kDeepSeekPunctuation, scan_run<is_deepseek_punctuation, true, kAny>},
    {pattern::kDeepSeekCjk, scan_run<is_deepseek_cjk, false, kAny>},
    {pattern::kNewline, scan_run<is_newline, false, 1>},
    {pattern::kSpace, scan_run<is_space, false, 1>},
    {pattern::kTrailingSpace, scan_trailing_space},
    {pattern::kSpaceLetters, scan_run<is_letter, true, kAny>},
    {pattern::kSpacePunctuation, scan_run<is_punctuation, true, kAny>},
    {pattern::kDigit, scan_run<is_number, false, 1>},
    {pattern::kDigits, scan_run<is_number, false, kAny>},
    {pattern::kDigits3, scan_run<is_number, false, 3>},
    {pattern::kBertPunctuation, scan_run<is_bert_punctuation, false, 1>},
    {pattern::kLines, scan_lines},
    {pattern::kMetaspace, scan_metaspace},
    {pattern::kMetaspaceWords, scan_metaspace_word},
};

}  // namespace

Scanner find_scanner(std::string_view pattern) {
  const auto* known = std::find_if(std::begin(kKnownPatterns), std::end(kKnownPatterns),
                                   [&](const KnownPattern& k) { return pattern == k.pattern; });
  return known == std::end(kKnownPatterns) ? nullptr : known->scanner;
}

std::vector<std::string_view> scanned_patterns() {
  std::vector<std::string_view> patterns;
  for (const KnownPattern& known : kKnownPatterns) patterns.emplace_back(known.pattern);
  return patterns;
}

}  // namespace zhiyin
