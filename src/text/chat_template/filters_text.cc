// Filters on text.
#include <algorithm>

#include "base/utf8.h"
#include "text/chat_template/budget.h"
#include "text/chat_template/filter_tables.h"
#include "text/chat_template/format.h"
#include "text/chat_template/methods.h"
#include "text/chat_template/objects.h"
#include "text/chat_template/operators.h"
#include "text/chat_template/pprint.h"
#include "text/chat_template/py_text.h"
#include "text/chat_template/text_wrap.h"

namespace zhiyin::jinja {
namespace {

bool flag(const Value& argument) { return !argument.is_missing() && truthy(argument); }

// markupsafe.soft_str: a string, Markup if it was one.
Value soft_str(const Value& value) {
  return value.is_string() ? value : Value::string(to_str(value));
}

// soft_str(value).name(arguments)
Value call_method(Runtime& runtime, const Value& value, std::string_view name,
                  std::vector<Value> arguments = {}) {
  const Value method = find_method(soft_str(value), name);
  return call_function(runtime, method.as<Function>(), {std::move(arguments), {}});
}

Value do_upper(Runtime& runtime, const FilterArgs& args) {
  return call_method(runtime, args[0], "upper");
}
Value do_lower(Runtime& runtime, const FilterArgs& args) {
  return call_method(runtime, args[0], "lower");
}
Value do_capitalize(Runtime& runtime, const FilterArgs& args) {
  return call_method(runtime, args[0], "capitalize");
}
Value do_trim(Runtime& runtime, const FilterArgs& args) {
  return call_method(runtime, args[0], "strip", {value_or(args[1], Value::none())});
}
Value do_center(Runtime& runtime, const FilterArgs& args) {
  return call_method(runtime, args[0], "center", {value_or(args[1], Value::integer(int64_t{80}))});
}

Value do_title(Runtime&, const FilterArgs& args) {
  const std::u32string text = utf8_to_utf32(to_str(args[0]));
  const auto separates = [](char32_t c) {
    return is_space(c) || std::u32string_view(U"-({[<").find(c) != std::u32string_view::npos;
  };
  std::string out;
  for (size_t at = 0; at < text.size();) {
    size_t end = at;
    while (end < text.size() && separates(text[end]) == separates(text[at])) ++end;
    const std::string word = utf32_to_utf8(std::u32string_view(text).substr(at, end - at));
    const size_t first = byte_offset(word, 1);
    out += upper(word.substr(0, first)) + lower(word.substr(first));
    at = end;
  }
  return Value::string(std::move(out));
}

Value do_escape(Runtime&, const FilterArgs& args) { return Value::string(escaped(args[0]), true); }

Value do_forceescape(Runtime&, const FilterArgs& args) {
  return Value::string(escape_html(to_str(args[0])), true);
}

Value do_safe(Runtime&, const FilterArgs& args) { return Value::string(to_str(args[0]), true); }
Value do_string(Runtime&, const FilterArgs& args) { return soft_str(args[0]); }

Value do_striptags(Runtime&, const FilterArgs& args) {
  const std::string text = to_str(args[0]);
  std::string kept;
  size_t at = 0;
  while (true) {
    const size_t start = text.find('<', at);
    if (start == std::string::npos) break;
    const bool comment = text.compare(start, 4, "<!--") == 0;
    const size_t end = comment ? text.find("-->", start + 4) : text.find('>', start);
    if (end == std::string::npos) break;
    kept += text.substr(at, start - at);
    at = end + (comment ? 3 : 1);
  }
  kept += text.substr(at);
  return Value::string(unescape_html(join(split_space(kept), " ")));
}

Value do_format(Runtime&, CallArgs args) {
  const Value format = soft_str(args.positional[0]);
  args.positional.erase(args.positional.begin());
  if (!args.positional.empty() && !args.named.empty()) {
    raise("FilterArgumentError", "can't handle positional and keyword arguments at the same time");
  }
  Value arguments = Value::tuple(std::move(args.positional));
  if (!args.named.empty()) {
    auto* dict = new Dict;
    arguments = Value::object(Kind::kDict, dict);
    for (auto& [name, value] : args.named) dict->set(name, std::move(value));
  }
  return Value::string(percent_format(format, arguments), format.is_markup());
}

Value do_replace(Runtime& runtime, const FilterArgs& args) {
  const auto plain = [](const Value& value) { return Value::string(to_str(value)); };
  const bool unlimited = args[3].is_missing() || args[3].is_none();
  const Value limit = unlimited ? Value::integer(int64_t{-1}) : args[3];
  if (!runtime.autoescape) {
    return call_method(runtime, plain(args[0]), "replace", {plain(args[1]), plain(args[2]), limit});
  }
  const bool escapes = args[1].is_markup() || (args[2].is_markup() && !args[0].is_markup());
  const Value text = escapes ? Value::string(escaped(args[0]), true) : soft_str(args[0]);
  return call_method(runtime, text, "replace", {soft_str(args[1]), soft_str(args[2]), limit});
}

Value do_indent(Runtime&, const FilterArgs& args) {
  const Value& text = args[0];
  const Value width = value_or(args[1], Value::integer(int64_t{4}));
  const std::string indent =
      width.is_string() ? width.text() : binary(BinaryOp::kMul, Value::string(" "), width).text();
  if (text.is_undefined()) fail_undefined(text);
  if (text.is(Kind::kList)) {
    raise("AttributeError", "'list' object has no attribute 'splitlines'");
  }
  if (text.is(Kind::kTuple)) {
    raise("TypeError", "can only concatenate tuple (not \"str\") to tuple");
  }
  if (!text.is_string()) {
    raise("TypeError", "unsupported operand type(s) for +=: '", type_name(text), "' and 'str'");
  }
  const bool blank = flag(args[3]);
  // The line end that Python appends keeps a final empty line.
  const std::string source = text.text() + "\n";
  std::string out = flag(args[2]) ? indent : "";
  bool first = true;
  for (const std::string_view line : split_lines(source)) {
    spend_bytes(indent.size() + line.size() + 1);
    if (!first) {
      out += '\n';
      if (blank || !line.empty()) out += indent;
    }
    first = false;
    out += line;
  }
  return Value::string(std::move(out), text.is_markup());
}

Value do_truncate(Runtime&, const FilterArgs& args) {
  const Value& text = args[0];
  const Value limit = value_or(args[1], Value::integer(int64_t{255}));
  const Value end = value_or(args[3], Value::string("..."));
  const bool default_leeway = args[4].is_missing() || args[4].is_none();
  const int64_t leeway = default_leeway ? 5 : to_index(args[4]);
  const int64_t end_length = length_of(end);
  if (!ordered(Order::kGreaterEqual, limit, Value::integer(end_length))) {
    raise("AssertionError", "expected length >= ", end_length, ", got ", to_str(limit));
  }
  const int64_t length = to_index(limit);
  if (leeway < 0) raise("AssertionError", "expected leeway >= 0, got ", leeway);
  if (length_of(text) <= length || length_of(text) - length <= leeway) return text;
  const Value cut =
      get_slice(text, Value::none(), Value::integer(length - end_length), Value::none());
  if (flag(args[2])) return binary(BinaryOp::kAdd, cut, end);
  if (!cut.is_string()) {
    raise("AttributeError", "'", type_name(cut), "' object has no attribute 'rsplit'");
  }
  const std::string first(split_by(cut.text(), " ", 1, true)[0]);
  return binary(BinaryOp::kAdd, Value::string(first, cut.is_markup()), end);
}

Value do_wordcount(Runtime&, const FilterArgs& args) {
  int64_t count = 0;
  bool inside = false;
  for (const char32_t c : utf8_to_utf32(to_str(args[0]))) {
    const bool word = is_word(c);
    if (word && !inside) ++count;
    inside = word;
  }
  return Value::integer(count);
}

Value do_wordwrap(Runtime&, const FilterArgs& args) {
  if (args[0].is_undefined()) fail_undefined(args[0]);
  if (!args[0].is_string()) {
    raise("AttributeError", "'", type_name(args[0]), "' object has no attribute 'splitlines'");
  }
  WrapStyle style;
  if (!args[1].is_missing() && !args[0].text().empty()) {
    ordered(Order::kLessEqual, args[1], Value::integer(int64_t{0}));  // only numbers pass
    style.width = static_cast<int64_t>(std::clamp(args[1].as_double(), -1.0, 1e9));
  }
  style.break_long_words = args[2].is_missing() || truthy(args[2]);
  style.break_on_hyphens = args[4].is_missing() || truthy(args[4]);
  const bool own_separator = !args[3].is_missing() && !args[3].is_none();
  const std::string separator = own_separator ? to_str(args[3]) : "\n";
  std::string out;
  bool first = true;
  for (const std::string_view line : split_lines(args[0].text())) {
    if (!first) out += separator;
    first = false;
    out += join(wrap_text(line, style), separator);
    spend_bytes(out.size() / 16);
  }
  return Value::string(std::move(out));
}

std::string quote_url(const Value& value, bool query) {
  std::string out;
  for (const char c : to_str(value)) {
    const auto byte = static_cast<unsigned char>(c);
    const bool plain = std::isalnum(byte) != 0 || c == '_' || c == '.' || c == '-' || c == '~' ||
                       (c == '/' && !query);
    if (plain && byte < 0x80) {
      out += c;
    } else if (c == ' ' && query) {
      out += '+';
    } else {
      static constexpr std::string_view kHex = "0123456789ABCDEF";
      out += {'%', kHex[byte >> 4], kHex[byte & 15]};
    }
  }
  return out;
}

Value do_urlencode(Runtime&, const FilterArgs& args) {
  if (args[0].is_string() || !is_iterable(args[0])) {
    return Value::string(quote_url(args[0], false));
  }
  const bool dict = args[0].is(Kind::kDict);
  Iterator iterator(dict ? make_view(args[0], View::What::kItems) : args[0]);
  std::string out;
  for (Value pair; iterator.next(pair);) {
    if (!is_iterable(pair)) {
      raise("TypeError", "cannot unpack non-iterable ", type_name(pair), " object");
    }
    const std::vector<Value> items = to_vector(pair);
    if (items.size() > 2) raise("ValueError", "too many values to unpack (expected 2)");
    if (items.size() < 2) {
      raise("ValueError", "not enough values to unpack (expected 2, got ", items.size(), ")");
    }
    if (!out.empty()) out += '&';
    out += quote_url(items[0], true) + "=" + quote_url(items[1], true);
  }
  return Value::string(std::move(out));
}

Value do_xmlattr(Runtime& runtime, const FilterArgs& args) {
  if (args[0].is_undefined()) fail_undefined(args[0]);
  if (!args[0].is(Kind::kDict)) {
    raise("AttributeError", "'", type_name(args[0]), "' object has no attribute 'items'");
  }
  std::string out;
  for (const auto& [key, value] : args[0].as<Dict>().items()) {
    if (value.is_none() || value.is_undefined()) continue;
    if (!key.is_string())
      raise("TypeError", "expected string or bytes-like object, got '", type_name(key), "'");
    if (key.text().find_first_of(" \t\n\r\f\v/>=") != std::string::npos) {
      raise("ValueError", "Invalid character in attribute name: ", repr_string(key.text()));
    }
    if (!out.empty()) out += ' ';
    out += cat(escaped(key), "=\"", escaped(value), "\"");
  }
  const bool space = args[1].is_missing() || truthy(args[1]);
  if (space && !out.empty()) out.insert(0, " ");
  return Value::string(std::move(out), runtime.autoescape);
}

Value do_pprint(Runtime&, const FilterArgs& args) { return Value::string(pretty(args[0])); }

}  // namespace

const std::vector<FilterEntry>& text_filters() {
  static const std::vector<FilterEntry> filters = {
      {"capitalize", {"do_capitalize", {"s"}, 1}, {}, do_capitalize},
      {"center", {"do_center", {"value", "width"}, 1}, {}, do_center},
      {"e", {"escape", {"s"}, 1}, {}, do_escape},
      {"escape", {"escape", {"s"}, 1}, {}, do_escape},
      {"forceescape", {"do_forceescape", {"value"}, 1}, {}, do_forceescape},
      {"format", {}, {}, nullptr, do_format},
      {"indent", {"do_indent", {"s", "width", "first", "blank"}, 1}, {}, do_indent},
      {"lower", {"do_lower", {"s"}, 1}, {}, do_lower},
      {"pprint", {"do_pprint", {"value"}, 1}, {}, do_pprint},
      {"replace", {"do_replace", {"s", "old", "new", "count"}, 3, 1}, {}, do_replace},
      {"safe", {"do_mark_safe", {"value"}, 1}, {}, do_safe},
      {"string", {"soft_str", {"s"}, 1}, {}, do_string},
      {"striptags", {"do_striptags", {"value"}, 1}, {}, do_striptags},
      {"title", {"do_title", {"s"}, 1}, {}, do_title},
      {"trim", {"do_trim", {"value", "chars"}, 1}, {}, do_trim},
      {"truncate",
       {"do_truncate", {"s", "length", "killwords", "end", "leeway"}, 1, 1},
       {},
       do_truncate},
      {"upper", {"do_upper", {"s"}, 1}, {}, do_upper},
      {"urlencode", {"do_urlencode", {"value"}, 1}, {}, do_urlencode},
      {"wordcount", {"do_wordcount", {"s"}, 1}, {}, do_wordcount},
      {"wordwrap",
       {"do_wordwrap", {"s", "width", "break_long_words", "wrapstring", "break_on_hyphens"}, 1, 1},
       {},
       do_wordwrap},
      {"xmlattr", {"do_xmlattr", {"d", "autospace"}, 1, 1}, {}, do_xmlattr},
  };
  return filters;
}

}  // namespace zhiyin::jinja
