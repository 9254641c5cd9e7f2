#include "text/chat_template/format.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdio>

#include "base/utf8.h"
#include "text/chat_template/budget.h"
#include "text/chat_template/operators.h"
#include "text/chat_template/py_text.h"

namespace zhiyin::jinja {
namespace {

// How a number or string is laid out; both mini languages come down to this.
struct Spec {
  std::string fill = " ";
  char align = 0;  // < > ^ =
  char sign = '-';
  bool alternate = false;
  int64_t width = 0;
  char grouping = 0;
  int64_t precision = -1;
  char type = 0;
};

constexpr int64_t kMaxDigits = 4000;  // of a float: more than any double has

std::string pad(std::string_view prefix, std::string_view body, const Spec& spec) {
  const auto length = static_cast<int64_t>(count_code_points(prefix) + count_code_points(body));
  if (spec.width <= length) return std::string(prefix).append(body);
  const int64_t missing = spec.width - length;
  spend_bytes(static_cast<size_t>(missing) * spec.fill.size());
  const auto filler = [&](int64_t count) {
    std::string out;
    for (int64_t i = 0; i < count; ++i) out += spec.fill;
    return out;
  };
  switch (spec.align) {
    case '<':
      return cat(prefix, body, filler(missing));
    case '^':
      return cat(filler(missing / 2), prefix, body, filler(missing - missing / 2));
    case '=':
      return cat(prefix, filler(missing), body);
    default:
      return cat(filler(missing), prefix, body);
  }
}

std::string sign_of(bool negative, const Spec& spec) {
  if (negative) return "-";
  return spec.sign == '-' ? "" : std::string(1, spec.sign);
}

// Separators in the digits before a point or exponent.
std::string group_digits(std::string text, char separator, size_t size) {
  if (separator == 0) return text;
  size_t end = 0;
  while (end < text.size() && std::isxdigit(static_cast<unsigned char>(text[end])) != 0 &&
         (size == 4 || text[end] != 'e')) {
    ++end;
  }
  for (size_t at = end; at > size;) text.insert(at -= size, 1, separator);
  return text;
}

std::string float_digits(double magnitude, const Spec& spec) {
  char type = spec.type == 'n' ? 'g' : spec.type;
  double shown = magnitude;
  if (type == '%') {
    type = 'f';
    shown *= 100;
  }
  if (type == 0 && spec.precision < 0) return repr_float(magnitude);
  const int64_t precision = std::min(spec.precision < 0 ? 6 : spec.precision, kMaxDigits);
  const char format[] = {'%',
                         spec.alternate ? '#' : '.',
                         spec.alternate ? '.' : '*',
                         spec.alternate ? '*' : (type == 0 ? 'g' : type),
                         spec.alternate ? (type == 0 ? 'g' : type) : '\0',
                         '\0'};
  std::string out(static_cast<size_t>(precision) + 400, '\0');
  const int size =
      std::snprintf(out.data(), out.size(), format, static_cast<int>(precision), shown);
  out.resize(static_cast<size_t>(size));
  if (type == 0 && out.find_first_of(".en") == std::string::npos) out += ".0";
  if (spec.type == '%') out += '%';
  return out;
}

std::string format_float(double value, const Spec& spec) {
  const std::string sign = sign_of(std::signbit(value) && !std::isnan(value), spec);
  return pad(sign, group_digits(float_digits(std::fabs(value), spec), spec.grouping, 3), spec);
}

std::string int_digits(uint64_t magnitude, int base, bool upper_case) {
  char buffer[72];
  const auto end = std::to_chars(buffer, buffer + sizeof buffer, magnitude, base);
  const std::string out(buffer, end.ptr);
  return upper_case ? upper(out) : out;
}

std::string format_int(int64_t value, const Spec& spec) {
  const bool negative = value < 0;
  const uint64_t magnitude =
      negative ? 0 - static_cast<uint64_t>(value) : static_cast<uint64_t>(value);
  int base = 10;
  std::string prefix = sign_of(negative, spec);
  switch (spec.type) {
    case 'b':
      base = 2;
      break;
    case 'o':
      base = 8;
      break;
    case 'x':
    case 'X':
      base = 16;
      break;
    default:
      break;
  }
  if (spec.alternate && base != 10) prefix += cat("0", spec.type);
  std::string digits = int_digits(magnitude, base, spec.type == 'X');
  if (static_cast<int64_t>(digits.size()) < spec.precision) {  // %-formatting only
    spend_bytes(static_cast<size_t>(spec.precision));
    digits.insert(0, static_cast<size_t>(spec.precision) - digits.size(), '0');
  }
  return pad(prefix, group_digits(digits, spec.grouping, base == 10 ? 3 : 4), spec);
}

// Digits of a width or precision; -1 when there are none.
int64_t read_number(std::string_view text, size_t& at) {
  const size_t begin = at;
  int64_t value = 0;
  while (at < text.size() && text[at] >= '0' && text[at] <= '9') {
    value = value * 10 + (text[at++] - '0');
    if (value > INT32_MAX) raise("ValueError", "Too many decimal digits in format string");
  }
  return at == begin ? -1 : value;
}

bool is_align(char c) { return c == '<' || c == '>' || c == '=' || c == '^'; }

Spec parse_spec(std::string_view text, const Value& value) {
  Spec spec;
  size_t at = 0;
  if (!text.empty()) {
    const auto first = static_cast<size_t>(decode_utf8(text, 0).length);
    if (text.size() > first && is_align(text[first])) {
      spec.fill = text.substr(0, first);
      spec.align = text[first];
      at = first + 1;
    } else if (is_align(text[0])) {
      spec.align = text[at++];
    }
  }
  const auto next_is = [&](char c) { return at < text.size() && text[at] == c && ++at > 0; };
  const bool signed_spec =
      at < text.size() && (text[at] == '+' || text[at] == '-' || text[at] == ' ');
  if (signed_spec) spec.sign = text[at++];
  spec.alternate = next_is('#');
  if (spec.align == 0 && next_is('0')) {
    spec.fill = "0";
    spec.align = value.is_string() ? '<' : '=';
  }
  spec.width = std::max<int64_t>(read_number(text, at), 0);
  if (next_is(',')) spec.grouping = ',';
  if (next_is('_')) spec.grouping = '_';
  if (next_is('.')) {
    spec.precision = read_number(text, at);
    if (spec.precision < 0) raise("ValueError", "Format specifier missing precision");
  }
  if (at < text.size()) spec.type = text[at++];
  if (at < text.size()) {
    raise("ValueError", "Invalid format specifier '", text, "' for object of type '",
          type_name(value), "'");
  }
  if (value.is_string() && signed_spec) {
    raise("ValueError", "Sign not allowed in string format specifier");
  }
  return spec;
}

[[noreturn]] void fail_code(char code, const Value& value) {
  raise("ValueError", "Unknown format code '", code, "' for object of type '", type_name(value),
        "'");
}

std::string_view first_code_points(std::string_view text, int64_t count) {
  if (count < 0) return text;
  return text.substr(0, byte_offset(text, static_cast<size_t>(count)));
}

std::string format_number(const Value& value, Spec& spec) {
  if (spec.align == 0) spec.align = '>';
  static constexpr std::string_view kFloatTypes = "eEfFgG%";
  if (value.is(Kind::kFloat) || kFloatTypes.find(spec.type) != std::string_view::npos) {
    const bool known =
        spec.type == 0 || spec.type == 'n' || kFloatTypes.find(spec.type) != std::string_view::npos;
    if (!known) fail_code(spec.type, value);
    return format_float(value.as_double(), spec);
  }
  if (spec.type == 'c') {
    std::string character;
    append_utf8(character, static_cast<char32_t>(std::clamp<int64_t>(value.as_int(), 0, 0x10FFFF)));
    return pad("", character, spec);
  }
  if (spec.type != 0 && std::string_view("bdoxXn").find(spec.type) == std::string_view::npos) {
    fail_code(spec.type, value);
  }
  if (spec.precision >= 0) {
    raise("ValueError", "Precision not allowed in integer format specifier");
  }
  return format_int(value.as_int(), spec);
}

}  // namespace

std::string ascii_repr(const Value& value) {
  std::string text, out;
  append_repr(text, value);
  for (const char32_t c : utf8_to_utf32(text)) {
    if (c < 0x80) {
      out += static_cast<char>(c);
    } else {
      out += ascii_escape(c);
    }
  }
  return out;
}

std::string format_value(const Value& value, std::string_view text) {
  if (text.empty()) return to_str(value);
  if (!value.is_string() && !value.is_number()) {
    const bool undefined = value.is_undefined();
    raise("TypeError", "unsupported format string passed to ",
          undefined ? "Undefined" : type_name(value), ".__format__");
  }
  Spec spec = parse_spec(text, value);
  if (value.is_number()) return format_number(value, spec);
  if (spec.type != 0 && spec.type != 's') fail_code(spec.type, value);
  if (spec.align == '=') {
    raise("ValueError", "'=' alignment not allowed in string format specifier");
  }
  if (spec.grouping != 0) raise("ValueError", "Cannot specify '", spec.grouping, "' with 's'.");
  if (spec.align == 0) spec.align = '<';
  return pad("", first_code_points(value.text(), spec.precision), spec);
}

namespace {

// One "..." % arguments.
class PercentFormatter {
 public:
  PercentFormatter(std::string_view format, bool markup, const Value& arguments)
      : format_(format), markup_(markup), arguments_(arguments) {
    // What has __getitem__ and is neither tuple nor string serves as a mapping; then nobody
    // complains about arguments left over.
    mapping_ = !arguments.is(Kind::kTuple) && !arguments.is_string() &&
               (arguments.is(Kind::kDict) || arguments.is(Kind::kList) ||
                arguments.is(Kind::kRange) || arguments.is_undefined());
  }

  std::string run() {
    std::string out;
    while (at_ < format_.size()) {
      const size_t percent = std::min(format_.find('%', at_), format_.size());
      out += format_.substr(at_, percent - at_);
      at_ = percent;
      if (at_ < format_.size()) {
        ++at_;
        out += conversion();
      }
    }
    const size_t given = arguments_.is(Kind::kTuple) ? arguments_.items().size() : 1;
    if (used_ < given && !mapping_) {
      raise("TypeError", "not all arguments converted during string formatting");
    }
    return out;
  }

 private:
  char peek() const {
    if (at_ >= format_.size()) raise("ValueError", "incomplete format");
    return format_[at_];
  }

  Value next_argument() {
    if (arguments_.is(Kind::kTuple)) {
      if (used_ < arguments_.items().size()) return arguments_.items()[used_++];
    } else if (used_ == 0) {
      ++used_;
      return arguments_;
    }
    raise("TypeError", "not enough arguments for format string");
  }

  Value keyed_argument() {
    const size_t begin = ++at_;
    for (int depth = 1; depth > 0; ++at_) {
      if (at_ >= format_.size()) raise("ValueError", "incomplete format key");
      depth += format_[at_] == '(' ? 1 : format_[at_] == ')' ? -1 : 0;
    }
    const std::string_view key = format_.substr(begin, at_ - begin - 1);
    if (!mapping_) raise("TypeError", "format requires a mapping");
    if (arguments_.is_undefined()) fail_undefined(arguments_);
    if (!arguments_.is(Kind::kDict)) {
      raise("TypeError", type_name(arguments_), " indices must be integers or slices, not str");
    }
    const Value* found = arguments_.as<Dict>().find(key);
    if (found == nullptr) raise("KeyError", repr_string(key));
    return *found;
  }

  int64_t star_or_number() {
    if (at_ < format_.size() && format_[at_] == '*') {
      ++at_;
      const Value value = next_argument();
      if (!value.is_integral()) raise("TypeError", "* wants int");
      return std::clamp<int64_t>(value.as_int(), -INT32_MAX, INT32_MAX);
    }
    return read_number(format_, at_);
  }

  std::string conversion() {
    Spec spec;
    spec.align = '>';
    Value keyed;
    if (peek() == '(') keyed = keyed_argument();
    bool zero = false;
    for (;; ++at_) {
      const char flag = peek();
      if (flag == '-') {
        spec.align = '<';
      } else if (flag == '+' || (flag == ' ' && spec.sign != '+')) {
        spec.sign = flag;
      } else if (flag == '#') {
        spec.alternate = true;
      } else if (flag == '0') {
        zero = true;
      } else if (flag != ' ') {
        break;
      }
    }
    spec.width = star_or_number();
    if (spec.width < 0 && format_[at_ - 1] == '*') spec.align = '<', spec.width = -spec.width;
    if (at_ < format_.size() && format_[at_] == '.') {
      ++at_;
      spec.precision = std::max<int64_t>(star_or_number(), 0);
    }
    if (at_ < format_.size() &&
        std::string_view("hlL").find(format_[at_]) != std::string_view::npos) {
      ++at_;
    }
    spec.type = peek();
    ++at_;
    if (spec.type == '%') return "%";
    const Value value = keyed.is_missing() ? next_argument() : keyed;
    if (zero && spec.align == '>' &&
        std::string_view("srac").find(spec.type) == std::string_view::npos) {
      spec.align = '=';
      spec.fill = "0";
    }
    return convert(value, spec);
  }

  std::string text_conversion(std::string text, bool safe, const Spec& spec) const {
    if (markup_ && !safe) text = escape_html(text);
    return pad("", first_code_points(text, spec.precision), spec);
  }

  std::string convert(const Value& value, Spec spec) const {
    switch (spec.type) {
      case 's':
        return text_conversion(to_str(value), value.is_markup(), spec);
      case 'r': {
        std::string text;
        append_repr(text, value);
        return text_conversion(std::move(text), false, spec);
      }
      case 'a':
        return text_conversion(ascii_repr(value), false, spec);
      case 'c':
        return character(value, spec);
      case 'd':
      case 'i':
      case 'u':
      case 'x':
      case 'X':
      case 'o':
        return integer(value, spec);
      case 'e':
      case 'E':
      case 'f':
      case 'F':
      case 'g':
      case 'G':
        if (value.is_undefined()) fail_undefined(value);
        if (!value.is_number()) raise("TypeError", "must be real number, not ", type_name(value));
        return format_float(value.as_double(), spec);
      default: {
        char code[8];
        std::snprintf(code, sizeof code, "0x%x", static_cast<unsigned char>(spec.type));
        raise("ValueError", "unsupported format character '", spec.type, "' (", code, ") at index ",
              count_code_points(format_.substr(0, at_ - 1)));
      }
    }
  }

  static std::string character(const Value& value, const Spec& spec) {
    if (value.is_string() && length_in_code_points(value) == 1) return pad("", value.text(), spec);
    if (!value.is_integral()) raise("TypeError", "%c requires int or char");
    if (value.as_int() < 0 || value.as_int() > 0x10FFFF) {
      raise("OverflowError", "%c arg not in range(0x110000)");
    }
    std::string text;
    append_utf8(text, static_cast<char32_t>(value.as_int()));
    return pad("", text, spec);
  }

  static std::string integer(const Value& value, Spec spec) {
    const bool decimal = spec.type == 'd' || spec.type == 'i' || spec.type == 'u';
    if (value.is_undefined()) fail_undefined(value);
    if (!value.is_number() || (!decimal && !value.is_integral())) {
      raise("TypeError", "%", spec.type,
            " format: ", decimal ? "a real number is required" : "an integer is required", ", not ",
            type_name(value));
    }
    if (value.is_integral()) return format_int(value.as_int(), spec);
    const double number = value.as_double();
    if (std::isnan(number)) raise("ValueError", "cannot convert float NaN to integer");
    if (std::isinf(number)) raise("OverflowError", "cannot convert float infinity to integer");
    Spec whole = spec;
    whole.type = 'f';
    whole.precision = 0;
    whole.alternate = false;
    return format_float(std::trunc(number), whole);
  }

  std::string_view format_;
  bool markup_;
  const Value& arguments_;
  bool mapping_ = false;
  size_t at_ = 0, used_ = 0;
};

// One "...".format(...): string.Formatter with the sandbox's attribute access.
class BraceFormatter {
 public:
  BraceFormatter(bool markup, const std::vector<Value>& positional, const Dict& named)
      : markup_(markup), positional_(positional), named_(named) {}

  std::string run(std::string_view format, int depth) {
    if (depth > 1) raise("ValueError", "Max string recursion exceeded");
    std::string out;
    for (size_t at = 0; at < format.size();) {
      const char c = format[at++];
      if (c != '{' && c != '}') {
        out += c;
      } else if (at < format.size() && format[at] == c) {
        out += c;
        ++at;
      } else if (c == '}') {
        raise("ValueError", "Single '}' encountered in format string");
      } else {
        out += field(format, at, depth);
      }
    }
    return out;
  }

 private:
  std::string field(std::string_view format, size_t& at, int depth) {
    if (at >= format.size()) raise("ValueError", "Single '{' encountered in format string");
    const size_t begin = at;
    int open = 1;
    for (; at < format.size(); ++at) {
      open += format[at] == '{' ? 1 : format[at] == '}' ? -1 : 0;
      if (open == 0) break;
    }
    if (open > 0) raise("ValueError", "expected '}' before end of string");
    const std::string_view body = format.substr(begin, at++ - begin);
    size_t end = 0;
    for (bool bracket = false; end < body.size(); ++end) {
      if (body[end] == '[') bracket = true;
      if (body[end] == ']') bracket = false;
      if (!bracket && (body[end] == '!' || body[end] == ':')) break;
    }
    Value value = lookup(body.substr(0, end));
    if (end < body.size() && body[end] == '!') {
      if (end + 1 >= body.size())
        raise("ValueError", "end of string while looking for conversion specifier");
      const char conversion = body[end + 1];
      end += 2;
      if (end < body.size() && body[end] != ':') {
        raise("ValueError", "expected ':' after conversion specifier");
      }
      value = converted(value, conversion);
    }
    const std::string spec = end < body.size() ? run(body.substr(end + 1), depth + 1) : "";
    if (!markup_) return format_value(value, spec);
    if (!value.is_markup()) return escape_html(format_value(value, spec));
    if (!spec.empty()) raise("ValueError", "Unsupported format specification for Markup.");
    return value.text();
  }

  static Value converted(const Value& value, char conversion) {
    if (conversion == 's') return Value::string(to_str(value));
    if (conversion == 'a') return Value::string(ascii_repr(value));
    if (conversion != 'r') raise("ValueError", "Unknown conversion specifier ", conversion);
    std::string text;
    append_repr(text, value);
    return Value::string(std::move(text));
  }

  Value lookup(std::string_view name) {
    const size_t first_end = std::min(name.find_first_of(".["), name.size());
    Value value = first(name.substr(0, first_end), name.size());
    for (size_t at = first_end; at < name.size();) {
      if (name[at] == '.') {
        const size_t end = std::min(name.find_first_of(".[", at + 1), name.size());
        if (end == at + 1) raise("ValueError", "Empty attribute in format string");
        value = get_attribute(value, name.substr(at + 1, end - at - 1));
        at = end;
      } else if (name[at] == '[') {
        const size_t end = name.find(']', at);
        if (end == std::string_view::npos) raise("ValueError", "Missing ']' in format string");
        const std::string_view key = name.substr(at + 1, end - at - 1);
        if (key.empty()) raise("ValueError", "Empty attribute in format string");
        size_t digits = 0;
        const int64_t index = read_number(key, digits);
        value = get_item(
            value, digits == key.size() ? Value::integer(index) : Value::string(std::string(key)));
        at = end + 1;
      } else {
        raise("ValueError", "Only '.' or '[' may follow ']' in format field specifier");
      }
    }
    return value;
  }

  Value first(std::string_view name, size_t whole_size) {
    size_t digits = 0;
    int64_t index = read_number(name, digits);
    const bool number = !name.empty() && digits == name.size();
    if (whole_size == 0) {
      if (next_ < 0) fail_numbering();
      index = next_++;
    } else if (number && whole_size == name.size()) {
      if (next_ > 0) fail_numbering();
      next_ = -1;
    } else if (!number) {
      const Value* found = named_.find(name);
      if (found == nullptr) raise("KeyError", repr_string(name));
      return *found;
    }
    if (static_cast<size_t>(index) >= positional_.size()) {
      raise("IndexError", "tuple index out of range");
    }
    return positional_[static_cast<size_t>(index)];
  }

  // Python's Formatter has one text for both directions.
  [[noreturn]] static void fail_numbering() {
    raise("ValueError",
          "cannot switch from manual field specification to automatic field numbering");
  }

  bool markup_;
  const std::vector<Value>& positional_;
  const Dict& named_;
  int64_t next_ = 0;  // automatic field number; -1 once a field had an explicit number
};

}  // namespace

std::string percent_format(const Value& format, const Value& arguments) {
  return PercentFormatter(format.text(), format.is_markup(), arguments).run();
}

std::string brace_format(const Value& format, const std::vector<Value>& positional,
                         const Dict& named) {
  return BraceFormatter(format.is_markup(), positional, named).run(format.text(), 0);
}

}  // namespace zhiyin::jinja
