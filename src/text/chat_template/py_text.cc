#include "text/chat_template/py_text.h"

#include <utf8proc.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "base/utf8.h"
#include "text/chat_template/budget.h"

namespace zhiyin::jinja {
namespace {

int category(char32_t c) { return utf8proc_category(static_cast<utf8proc_int32_t>(c)); }

bool is_upper_char(char32_t c) { return category(c) == UTF8PROC_CATEGORY_LU; }
bool is_lower_char(char32_t c) { return category(c) == UTF8PROC_CATEGORY_LL; }
bool is_title_char(char32_t c) { return category(c) == UTF8PROC_CATEGORY_LT; }
bool is_cased(char32_t c) { return is_upper_char(c) || is_lower_char(c) || is_title_char(c); }

bool is_alpha(char32_t c) {
  const int kind = category(c);
  return kind >= UTF8PROC_CATEGORY_LU && kind <= UTF8PROC_CATEGORY_LO;
}

// Superscript and circled digits: digits to Python, but not decimals.
bool is_other_digit(char32_t c) {
  return c == 0xB2 || c == 0xB3 || c == 0xB9 || (c >= 0x2070 && c <= 0x2089 && c != 0x2071) ||
         (c >= 0x2460 && c <= 0x2468) || (c >= 0x2474 && c <= 0x247C) ||
         (c >= 0x2488 && c <= 0x2490);
}

// Han characters that are numbers to Python's str.isnumeric.
bool is_han_number(char32_t c) {
  static constexpr std::u32string_view kNumbers =
      U"〇一二三四五六七八九十百千万亿兆零壹贰叁肆伍陆柒捌玖拾佰仟萬億兩两廿卅卌";
  return kNumbers.find(c) != std::u32string_view::npos;
}

bool in_class(char32_t c, CharClass wanted) {
  switch (wanted) {
    case CharClass::kAlpha:
      return is_alpha(c);
    case CharClass::kDecimal:
      return category(c) == UTF8PROC_CATEGORY_ND;
    case CharClass::kDigit:
      return category(c) == UTF8PROC_CATEGORY_ND || is_other_digit(c);
    case CharClass::kNumeric: {
      const int kind = category(c);
      return kind == UTF8PROC_CATEGORY_ND || kind == UTF8PROC_CATEGORY_NL ||
             kind == UTF8PROC_CATEGORY_NO || is_han_number(c);
    }
    case CharClass::kAlnum:
      return is_alpha(c) || in_class(c, CharClass::kNumeric);
    case CharClass::kSpace:
      return is_space(c);
    case CharClass::kPrintable:
      return is_printable(c);
  }
  return false;
}

// The mappings of one character to several, which utf8proc's simple tables lack.
std::u32string_view special_upper(char32_t c) {
  switch (c) {
    case 0xDF:
      return U"SS";
    case 0x149:
      return U"\u02BCN";
    case 0x1F0:
      return U"J\u030C";
    case 0xFB00:
      return U"FF";
    case 0xFB01:
      return U"FI";
    case 0xFB02:
      return U"FL";
    case 0xFB03:
      return U"FFI";
    case 0xFB04:
      return U"FFL";
    default:
      return {};
  }
}

void append_upper(std::string& out, char32_t c) {
  if (const std::u32string_view special = special_upper(c); !special.empty()) {
    for (const char32_t part : special) append_utf8(out, part);
    return;
  }
  append_utf8(out, static_cast<char32_t>(utf8proc_toupper(static_cast<utf8proc_int32_t>(c))));
}

void append_title(std::string& out, char32_t c) {
  if (const std::u32string_view special = special_upper(c); !special.empty()) {
    append_utf8(out, special[0]);
    out += lower(utf32_to_utf8(special.substr(1)));
    return;
  }
  append_utf8(out, static_cast<char32_t>(utf8proc_totitle(static_cast<utf8proc_int32_t>(c))));
}

// A capital sigma that ends a word becomes the final form (Unicode 3.13, Final_Sigma).
bool is_final_sigma(std::u32string_view text, size_t at) {
  const auto ignorable = [](char32_t c) {
    const int kind = category(c);
    return c == '\'' || c == 0x2019 || c == ':' || c == '.' || kind == UTF8PROC_CATEGORY_MN ||
           kind == UTF8PROC_CATEGORY_CF || kind == UTF8PROC_CATEGORY_LM;
  };
  size_t before = at;
  while (before > 0 && ignorable(text[before - 1])) --before;
  if (before == 0 || !is_cased(text[before - 1])) return false;
  size_t after = at + 1;
  while (after < text.size() && ignorable(text[after])) ++after;
  return after == text.size() || !is_cased(text[after]);
}

void append_lower(std::string& out, std::u32string_view text, size_t at) {
  const char32_t c = text[at];
  if (c == 0x130) {
    out += "i\u0307";
  } else if (c == 0x3A3) {
    append_utf8(out, is_final_sigma(text, at) ? 0x3C2 : 0x3C3);
  } else {
    append_utf8(out, static_cast<char32_t>(utf8proc_tolower(static_cast<utf8proc_int32_t>(c))));
  }
}

bool is_ascii(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return (c & 0x80) == 0; });
}

// Maps ASCII text byte by byte and everything else through its code points.
template <typename Ascii, typename Wide>
std::string map_case(std::string_view text, const Ascii& ascii, const Wide& wide) {
  std::string out;
  out.reserve(text.size());
  if (is_ascii(text)) {
    for (const char c : text) out += ascii(c);
    return out;
  }
  const std::u32string points = utf8_to_utf32(text);
  for (size_t i = 0; i < points.size(); ++i) wide(out, points, i);
  return out;
}

char ascii_upper(char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c; }
char ascii_lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; }

// True when every cased character passes and there is at least one.
template <typename Rejected>
bool cased_and_none(std::string_view text, const Rejected& rejected) {
  bool cased = false;
  for (const char32_t c : utf8_to_utf32(text)) {
    if (rejected(c)) return false;
    cased = cased || is_cased(c);
  }
  return cased;
}

// Bytes of the code point that ends before position end.
size_t last_code_point(std::string_view text, size_t end) {
  size_t start = end - 1;
  while (start > 0 && end - start < 4 && (text[start] & 0xC0) == 0x80) --start;
  const DecodedCodePoint point = decode_utf8(text, start);
  return point.ok && start + static_cast<size_t>(point.length) == end ? end - start : 1;
}

bool is_line_end(char32_t c) {
  return (c >= 0x0A && c <= 0x0D) || (c >= 0x1C && c <= 0x1E) || c == 0x85 || c == 0x2028 ||
         c == 0x2029;
}

}  // namespace

size_t count_code_points(std::string_view text) {
  if (is_ascii(text)) return text.size();
  size_t count = 0;
  for (size_t at = 0; at < text.size(); ++count) {
    at += static_cast<size_t>(decode_utf8(text, at).length);
  }
  return count;
}

size_t byte_offset(std::string_view text, size_t code_point) {
  size_t at = 0;
  for (; code_point > 0 && at < text.size(); --code_point) {
    at += static_cast<size_t>(decode_utf8(text, at).length);
  }
  return at;
}

bool is_space(char32_t c) {
  return (c >= 0x09 && c <= 0x0D) || (c >= 0x1C && c <= 0x20) || c == 0x85 || c == 0xA0 ||
         c == 0x1680 || (c >= 0x2000 && c <= 0x200A) || c == 0x2028 || c == 0x2029 || c == 0x202F ||
         c == 0x205F || c == 0x3000;
}

bool is_printable(char32_t c) {
  if (c < 0x7F) return c >= 0x20;
  switch (category(c)) {
    case UTF8PROC_CATEGORY_CN:
    case UTF8PROC_CATEGORY_CC:
    case UTF8PROC_CATEGORY_CF:
    case UTF8PROC_CATEGORY_CS:
    case UTF8PROC_CATEGORY_CO:
    case UTF8PROC_CATEGORY_ZL:
    case UTF8PROC_CATEGORY_ZP:
    case UTF8PROC_CATEGORY_ZS:
      return false;
    default:
      return true;
  }
}

bool is_word(char32_t c) { return c == '_' || in_class(c, CharClass::kAlnum); }

bool is_identifier(std::string_view name) {
  bool first = true;
  for (const char32_t c : utf8_to_utf32(name)) {
    const int kind = category(c);
    const bool start = c == '_' || is_alpha(c) || kind == UTF8PROC_CATEGORY_NL;
    const bool inside = kind == UTF8PROC_CATEGORY_ND || kind == UTF8PROC_CATEGORY_MN ||
                        kind == UTF8PROC_CATEGORY_MC || kind == UTF8PROC_CATEGORY_PC || c == 0xB7;
    if (!start && (first || !inside)) return false;
    first = false;
  }
  return !first;
}

std::string_view strip(std::string_view text, Side side, std::string_view chars) {
  const std::u32string wanted = utf8_to_utf32(chars);
  const auto strippable = [&](char32_t c) {
    return wanted.empty() ? is_space(c) : wanted.find(c) != std::u32string::npos;
  };
  size_t begin = 0, end = text.size();
  if (side != Side::kRight) {
    while (begin < end) {
      const DecodedCodePoint point = decode_utf8(text, begin);
      if (!strippable(point.code_point)) break;
      begin += static_cast<size_t>(point.length);
    }
  }
  if (side != Side::kLeft) {
    while (end > begin) {
      const size_t bytes = last_code_point(text, end);
      if (!strippable(decode_utf8(text.substr(0, end), end - bytes).code_point)) break;
      end -= bytes;
    }
  }
  return text.substr(begin, end - begin);
}

std::vector<std::string_view> split_lines(std::string_view text, bool keep_ends) {
  std::vector<std::string_view> lines;
  size_t start = 0;
  for (size_t at = 0; at < text.size();) {
    const DecodedCodePoint point = decode_utf8(text, at);
    size_t next = at + static_cast<size_t>(point.length);
    if (is_line_end(point.code_point)) {
      if (point.code_point == '\r' && next < text.size() && text[next] == '\n') ++next;
      lines.push_back(text.substr(start, (keep_ends ? next : at) - start));
      start = next;
    }
    at = next;
  }
  if (start < text.size()) lines.push_back(text.substr(start));
  return lines;
}

std::vector<std::string_view> split_space(std::string_view text, int64_t limit, bool from_right) {
  std::vector<std::string_view> parts;
  std::string_view rest = strip(text, from_right ? Side::kRight : Side::kLeft);
  while (!rest.empty()) {
    if (limit == 0) {
      // The remainder keeps the white space at its far end only.
      parts.push_back(strip(rest, from_right ? Side::kRight : Side::kLeft));
      break;
    }
    size_t begin = 0, end = rest.size();
    if (from_right) {
      begin = end;
      while (begin > 0) {
        const size_t bytes = last_code_point(rest, begin);
        if (is_space(decode_utf8(rest.substr(0, begin), begin - bytes).code_point)) break;
        begin -= bytes;
      }
    } else {
      end = 0;
      while (end < rest.size()) {
        const DecodedCodePoint point = decode_utf8(rest, end);
        if (is_space(point.code_point)) break;
        end += static_cast<size_t>(point.length);
      }
    }
    parts.push_back(rest.substr(begin, end - begin));
    rest = from_right ? strip(rest.substr(0, begin), Side::kRight)
                      : strip(rest.substr(end), Side::kLeft);
    --limit;
  }
  if (from_right) std::reverse(parts.begin(), parts.end());
  return parts;
}

std::vector<std::string_view> split_by(std::string_view text, std::string_view separator,
                                       int64_t limit, bool from_right) {
  std::vector<std::string_view> parts;
  while (limit != 0) {
    const size_t at =
        from_right ? find_text_from_right(text, separator) : find_text(text, separator);
    if (at == std::string_view::npos) break;
    const size_t after = at + separator.size();
    parts.push_back(from_right ? text.substr(after) : text.substr(0, at));
    text = from_right ? text.substr(0, at) : text.substr(after);
    --limit;
  }
  parts.push_back(text);
  if (from_right) std::reverse(parts.begin(), parts.end());
  return parts;
}

std::string upper(std::string_view text) {
  return map_case(text, ascii_upper, [](std::string& out, std::u32string_view points, size_t i) {
    append_upper(out, points[i]);
  });
}

std::string lower(std::string_view text) { return map_case(text, ascii_lower, append_lower); }

std::string casefold(std::string_view text) {
  utf8proc_uint8_t* folded = nullptr;
  const utf8proc_ssize_t size =
      utf8proc_map(reinterpret_cast<const utf8proc_uint8_t*>(text.data()),
                   static_cast<utf8proc_ssize_t>(text.size()), &folded, UTF8PROC_CASEFOLD);
  if (size < 0) return lower(text);  // ill-formed text
  std::string out(reinterpret_cast<const char*>(folded), static_cast<size_t>(size));
  std::free(folded);
  return out;
}

std::string capitalize(std::string_view text) {
  const std::u32string points = utf8_to_utf32(text);
  std::string out;
  for (size_t i = 0; i < points.size(); ++i) {
    if (i == 0) {
      append_title(out, points[i]);
    } else {
      append_lower(out, points, i);
    }
  }
  return out;
}

std::string title(std::string_view text) {
  const std::u32string points = utf8_to_utf32(text);
  std::string out;
  for (size_t i = 0; i < points.size(); ++i) {
    if (i > 0 && is_cased(points[i - 1])) {
      append_lower(out, points, i);
    } else {
      append_title(out, points[i]);
    }
  }
  return out;
}

std::string swap_case(std::string_view text) {
  const std::u32string points = utf8_to_utf32(text);
  std::string out;
  for (size_t i = 0; i < points.size(); ++i) {
    if (is_upper_char(points[i])) {
      append_lower(out, points, i);
    } else {
      append_upper(out, points[i]);
    }
  }
  return out;
}

bool all_of_class(std::string_view text, CharClass wanted) {
  for (const char32_t c : utf8_to_utf32(text)) {
    if (!in_class(c, wanted)) return false;
  }
  return !text.empty() || wanted == CharClass::kPrintable;
}

bool is_upper(std::string_view text) {
  return cased_and_none(text, [](char32_t c) { return is_lower_char(c) || is_title_char(c); });
}

bool is_lower(std::string_view text) {
  return cased_and_none(text, [](char32_t c) { return is_upper_char(c) || is_title_char(c); });
}

bool is_title(std::string_view text) {
  bool previous_cased = false;
  return cased_and_none(text, [&](char32_t c) {
    const bool wrong = is_lower_char(c) ? !previous_cased : is_cased(c) && previous_cased;
    previous_cased = is_cased(c);
    return wrong;
  });
}

size_t find_text(std::string_view text, std::string_view part) {
  spend_steps(static_cast<int64_t>(text.size() / 256));
  const void* found = memmem(text.data(), text.size(), part.data(), part.size());
  if (found == nullptr) return std::string_view::npos;
  return static_cast<size_t>(static_cast<const char*>(found) - text.data());
}

size_t find_text_from_right(std::string_view text, std::string_view part) {
  // The library's search backwards is quadratic for long parts.
  spend_steps(static_cast<int64_t>(text.size() / 256 * (1 + part.size() / 64)));
  return text.rfind(part);
}

std::string replace(std::string_view text, std::string_view old_text, std::string_view new_text,
                    int64_t limit) {
  std::string out;
  if (old_text.empty()) {  // new_text before every character and at the end
    for (size_t at = 0;; --limit) {
      if (limit == 0) return out += text.substr(at);
      out += new_text;
      if (at == text.size()) return out;
      const size_t length = static_cast<size_t>(decode_utf8(text, at).length);
      out += text.substr(at, length);
      at += length;
    }
  }
  while (limit != 0) {
    const size_t at = find_text(text, old_text);
    if (at == std::string_view::npos) break;
    out += text.substr(0, at);
    out += new_text;
    text.remove_prefix(at + old_text.size());
    --limit;
  }
  return out += text;
}

size_t count_occurrences(std::string_view text, std::string_view part) {
  if (part.empty()) return count_code_points(text) + 1;
  size_t count = 0;
  for (size_t at = find_text(text, part); at != std::string_view::npos;
       at = find_text(text, part)) {
    ++count;
    text.remove_prefix(at + part.size());
  }
  return count;
}

std::string ascii_escape(char32_t c) {
  char buffer[16];
  const char* format = c < 0x100 ? "\\x%02x" : c < 0x10000 ? "\\u%04x" : "\\U%08x";
  std::snprintf(buffer, sizeof buffer, format, static_cast<unsigned>(c));
  return buffer;
}

std::string repr_string(std::string_view text) {
  const bool has_single = text.find('\'') != std::string_view::npos;
  const bool has_double = text.find('"') != std::string_view::npos;
  const char quote = has_single && !has_double ? '"' : '\'';
  std::string out(1, quote);
  for (size_t at = 0; at < text.size();) {
    const DecodedCodePoint point = decode_utf8(text, at);
    const char32_t c = point.code_point;
    if (c == static_cast<char32_t>(quote) || c == '\\') {
      out += '\\';
      out += static_cast<char>(c);
    } else if (c == '\n') {
      out += "\\n";
    } else if (c == '\r') {
      out += "\\r";
    } else if (c == '\t') {
      out += "\\t";
    } else if (!point.ok || is_printable(c)) {
      out += text.substr(at, static_cast<size_t>(point.length));
    } else {
      out += ascii_escape(c);
    }
    at += static_cast<size_t>(point.length);
  }
  return out += quote;
}

std::string repr_float(double value) {
  if (std::isnan(value)) return "nan";
  if (std::isinf(value)) return value < 0 ? "-inf" : "inf";
  char buffer[40];
  const auto end =
      std::to_chars(buffer, buffer + sizeof buffer, value, std::chars_format::scientific);
  const std::string_view text(buffer, static_cast<size_t>(end.ptr - buffer));
  const size_t e = text.find('e');
  int exponent = 0;
  std::from_chars(text.data() + e + (text[e + 1] == '+' ? 2 : 1), end.ptr, exponent);
  std::string digits;
  for (const char c : text.substr(0, e)) {
    if (c >= '0' && c <= '9') digits += c;
  }
  std::string out = text[0] == '-' ? "-" : "";
  const int count = static_cast<int>(digits.size());
  if (exponent < -4 || exponent >= 16) {
    out += digits[0];
    if (count > 1) out += "." + digits.substr(1);
    std::snprintf(buffer, sizeof buffer, "e%c%02d", exponent < 0 ? '-' : '+', std::abs(exponent));
    return out + buffer;
  }
  if (exponent < 0)
    return out + "0." + std::string(static_cast<size_t>(-exponent - 1), '0') + digits;
  if (exponent >= count - 1) {
    return out + digits + std::string(static_cast<size_t>(exponent - count + 1), '0') + ".0";
  }
  digits.insert(static_cast<size_t>(exponent + 1), ".");
  return out + digits;
}

namespace {

// Drops the underscores that Python allows between digits; false where it does not.
bool drop_underscores(std::string_view text, std::string& out) {
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '_') {
      out += text[i];
      continue;
    }
    const auto digit = [&](size_t at) {
      return at < text.size() && std::isxdigit(static_cast<unsigned char>(text[at])) != 0;
    };
    if (i == 0 || !digit(i - 1) || !digit(i + 1)) return false;
  }
  return true;
}

}  // namespace

bool parse_float(std::string_view text, double& value) {
  std::string clean;
  if (!drop_underscores(strip(text, Side::kBoth), clean) || clean.empty()) return false;
  std::string_view digits = clean;
  const bool negative = digits[0] == '-';
  if (digits[0] == '+' || digits[0] == '-') digits.remove_prefix(1);
  const std::string word = lower(digits);
  if (word == "inf" || word == "infinity") {
    value = negative ? -HUGE_VAL : HUGE_VAL;
    return true;
  }
  if (word == "nan") {
    value = std::nan("");
    return true;
  }
  if (digits.empty() || (digits[0] != '.' && (digits[0] < '0' || digits[0] > '9'))) return false;
  const auto result = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  if (result.ptr != digits.data() + digits.size()) return false;
  if (result.ec == std::errc::result_out_of_range) value = std::strtod(digits.data(), nullptr);
  if (result.ec == std::errc::invalid_argument) return false;
  if (negative) value = -value;
  return true;
}

IntParse parse_int(std::string_view text, int base, int64_t& value) {
  std::string clean;
  text = strip(text, Side::kBoth);
  bool negative = false;
  if (!text.empty() && (text[0] == '+' || text[0] == '-')) {
    negative = text[0] == '-';
    text.remove_prefix(1);
  }
  if (text.size() > 2 && text[0] == '0') {
    const char mark = ascii_lower(text[1]);
    const int marked = mark == 'x' ? 16 : mark == 'o' ? 8 : mark == 'b' ? 2 : 0;
    if (marked != 0 && (base == marked || base == 0)) {
      base = marked;
      text.remove_prefix(text[2] == '_' ? 3 : 2);
    }
  }
  if (base == 0) {
    base = 10;
    if (text.size() > 1 && text[0] == '0' && text.find_first_not_of("0_") != text.npos) {
      return IntParse::kInvalid;  // "010" is ambiguous
    }
  }
  if (base < 2 || base > 36 || !drop_underscores(text, clean) || clean.empty() ||
      std::isalnum(static_cast<unsigned char>(clean[0])) == 0) {
    return IntParse::kInvalid;
  }
  if (negative) clean.insert(0, "-");
  const char* end = clean.data() + clean.size();
  const auto result = std::from_chars(clean.data(), end, value, base);
  if (result.ec == std::errc::invalid_argument || result.ptr != end) return IntParse::kInvalid;
  return result.ec == std::errc() ? IntParse::kOk : IntParse::kTooLarge;
}

std::string escape_html(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (const char c : text) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '\'':
        out += "&#39;";
        break;
      case '"':
        out += "&#34;";
        break;
      default:
        out += c;
    }
  }
  return out;
}

std::string unescape_html(std::string_view text) {
  static constexpr std::pair<std::string_view, std::string_view> kNamed[] = {
      {"amp", "&"},        {"lt", "<"},          {"gt", ">"},         {"quot", "\""},
      {"apos", "'"},       {"nbsp", "\u00A0"},   {"copy", "\u00A9"},  {"raquo", "\u00BB"},
      {"laquo", "\u00AB"}, {"hellip", "\u2026"}, {"mdash", "\u2014"}, {"ndash", "\u2013"},
  };
  std::string out;
  for (size_t at = 0; at < text.size();) {
    const size_t end = text[at] == '&' ? text.find(';', at) : std::string_view::npos;
    if (end == std::string_view::npos || end - at > 12) {
      out += text[at++];
      continue;
    }
    const std::string_view name = text.substr(at + 1, end - at - 1);
    std::string replacement;
    if (name.size() > 1 && name[0] == '#') {
      const bool hex = ascii_lower(name[1]) == 'x';
      const std::string_view digits = name.substr(hex ? 2 : 1);
      uint32_t code = 0;
      const auto parsed =
          std::from_chars(digits.data(), digits.data() + digits.size(), code, hex ? 16 : 10);
      if (parsed.ec == std::errc() && parsed.ptr == digits.data() + digits.size()) {
        const bool valid = code > 0 && code <= 0x10FFFF && (code < 0xD800 || code > 0xDFFF);
        append_utf8(replacement, valid ? code : kReplacementCharacter);
      }
    } else {
      for (const auto& [entity, character] : kNamed) {
        if (name == entity) replacement = character;
      }
    }
    if (replacement.empty()) {
      out += text[at++];
    } else {
      out += replacement;
      at = end + 1;
    }
  }
  return out;
}

}  // namespace zhiyin::jinja
