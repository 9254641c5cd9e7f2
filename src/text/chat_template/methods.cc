#include "text/chat_template/methods.h"

#include <algorithm>
#include <cmath>
#include <unordered_map>

#include "text/chat_template/budget.h"
#include "text/chat_template/call_args.h"
#include "text/chat_template/format.h"
#include "text/chat_template/objects.h"
#include "text/chat_template/operators.h"
#include "text/chat_template/py_text.h"
#include "text/chat_template/runtime.h"

namespace zhiyin::jinja {
namespace {

using Args = std::vector<Value>;

// A string made from self: Markup if self is.
Value like(const Value& self, std::string text) {
  return Value::string(std::move(text), self.is_markup());
}
Value like(const Value& self, std::string_view text) { return like(self, std::string(text)); }

Value list_like(const Value& self, const std::vector<std::string_view>& parts) {
  spend_bytes(parts.size() * (sizeof(Value) + sizeof(Str)));
  std::vector<Value> items;
  items.reserve(parts.size());
  for (const std::string_view part : parts) items.push_back(like(self, part));
  return Value::list(std::move(items));
}

// CPython's newer argument checks say None, not NoneType.
std::string_view shown_type(const Value& value) {
  return value.is_none() ? "None" : type_name(value);
}

const std::string& need_text(const Value& value) {
  if (!value.is_string()) raise("TypeError", "must be str, not ", type_name(value));
  return value.text();
}

const std::string& need_separator(const Value& value) {
  const std::string& text = need_text(value);
  if (text.empty()) raise("ValueError", "empty separator");
  return text;
}

// What goes into a Markup from outside gets escaped.
std::string inserted(const Value& self, const Value& value) {
  return self.is_markup() ? escaped(value) : value.text();
}

// --- str -----------------------------------------------------------------------------------

template <Side side>
Value str_strip(const Value& self, Args& args) {
  constexpr std::string_view name = side == Side::kBoth   ? "strip"
                                    : side == Side::kLeft ? "lstrip"
                                                          : "rstrip";
  spend_steps(static_cast<int64_t>(self.text().size() / 256));
  if (args[0].is_missing() || args[0].is_none()) return like(self, strip(self.text(), side));
  if (!args[0].is_string()) raise("TypeError", name, " arg must be None or str");
  if (args[0].text().empty()) return self;
  return like(self, strip(self.text(), side, args[0].text()));
}

template <bool from_right>
Value str_split(const Value& self, Args& args) {
  const int64_t limit = args[1].is_missing() ? -1 : to_index(args[1]);
  if (args[0].is_missing() || args[0].is_none()) {
    return list_like(self, split_space(self.text(), limit, from_right));
  }
  if (!args[0].is_string()) {
    raise("TypeError", "must be str or None, not ", type_name(args[0]));
  }
  return list_like(self, split_by(self.text(), need_separator(args[0]), limit, from_right));
}

Value str_splitlines(const Value& self, Args& args) {
  const bool keep = !args[0].is_missing() && to_index(args[0]) != 0;
  return list_like(self, split_lines(self.text(), keep));
}

// The part of self between the optional start and end arguments; begin: its first byte.
std::string_view searched_part(const Value& self, const Args& args, size_t& begin) {
  begin = 0;
  std::string_view text = self.text();
  if (args[1].is_missing() && args[2].is_missing()) return text;
  const auto bound = [&](const Value& value, int64_t fallback) {
    if (value.is_missing() || value.is_none()) return fallback;
    if (!value.is_integral()) {
      raise("TypeError", "slice indices must be integers or None or have an __index__ method");
    }
    const int64_t length = length_in_code_points(self);
    const int64_t index = value.as_int();
    return std::max<int64_t>(index < 0 ? index + length : index, 0);
  };
  const int64_t length = length_in_code_points(self);
  const int64_t start = bound(args[1], 0);
  const int64_t stop = std::min(bound(args[2], length), length);
  if (start > stop) {
    begin = std::string_view::npos;  // not even the empty string is found here
    return {};
  }
  begin = byte_offset(text, static_cast<size_t>(start));
  return text.substr(begin, byte_offset(text.substr(begin), static_cast<size_t>(stop - start)));
}

template <bool at_end>
Value str_starts_or_ends(const Value& self, Args& args) {
  size_t begin = 0;
  const std::string_view text = searched_part(self, args, begin);
  const auto matches = [&](const Value& part) {
    return begin != std::string_view::npos &&
           (at_end ? text.ends_with(part.text()) : text.starts_with(part.text()));
  };
  constexpr std::string_view name = at_end ? "endswith" : "startswith";
  if (args[0].is_string()) return Value::boolean(matches(args[0]));
  if (!args[0].is(Kind::kTuple)) {
    raise("TypeError", name, " first arg must be str or a tuple of str, not ", type_name(args[0]));
  }
  for (const Value& part : args[0].items()) {
    if (!part.is_string()) {
      raise("TypeError", "tuple for ", name, " must only contain str, not ", type_name(part));
    }
    if (matches(part)) return Value::boolean(true);
  }
  return Value::boolean(false);
}

// Position in code points, or -1.
template <bool from_right>
int64_t find_position(const Value& self, const Args& args) {
  size_t begin = 0;
  const std::string_view text = searched_part(self, args, begin);
  const std::string& part = need_text(args[0]);
  if (begin == std::string_view::npos) return -1;
  const size_t at = from_right ? find_text_from_right(text, part) : find_text(text, part);
  if (at == std::string_view::npos) return -1;
  return static_cast<int64_t>(
      count_code_points(std::string_view(self.text()).substr(0, begin + at)));
}

template <bool from_right>
Value str_find(const Value& self, Args& args) {
  return Value::integer(find_position<from_right>(self, args));
}

template <bool from_right>
Value str_index(const Value& self, Args& args) {
  const int64_t at = find_position<from_right>(self, args);
  if (at < 0) raise("ValueError", "substring not found");
  return Value::integer(at);
}

Value str_count(const Value& self, Args& args) {
  size_t begin = 0;
  const std::string_view text = searched_part(self, args, begin);
  const std::string& part = need_text(args[0]);
  if (begin == std::string_view::npos) return Value::integer(int64_t{0});
  return Value::integer(count_occurrences(text, part));
}

Value str_replace(const Value& self, Args& args) {
  for (size_t i = 0; i < 2; ++i) {
    if (!args[i].is_string()) {
      raise("TypeError", "replace() argument ", i + 1, " must be str, not ", shown_type(args[i]));
    }
  }
  const int64_t limit = args[2].is_missing() ? -1 : to_index(args[2]);
  const std::string new_text = inserted(self, args[1]);
  if (new_text.size() > args[0].text().size()) {
    spend_bytes(count_occurrences(self.text(), args[0].text()) * new_text.size());
  }
  return like(self, replace(self.text(), args[0].text(), new_text, limit));
}

Value str_join(const Value& self, Args& args) {
  if (!is_iterable(args[0])) raise("TypeError", "can only join an iterable");
  std::string out;
  Iterator iterator(args[0]);
  size_t count = 0;
  for (Value item; iterator.next(item); ++count) {
    if (!item.is_string() && !self.is_markup()) {
      raise("TypeError", "sequence item ", count, ": expected str instance, ", type_name(item),
            " found");
    }
    const std::string part = self.is_markup() ? escaped(item) : item.text();
    spend_bytes(self.text().size() + part.size());
    if (count > 0) out += self.text();
    out += part;
  }
  return like(self, std::move(out));
}

template <char align>
Value str_align(const Value& self, Args& args) {
  const int64_t width = to_index(args[0]);
  std::string fill = " ";
  if (!args[1].is_missing()) {
    if (!args[1].is_string()) {
      raise("TypeError", "The fill character must be a unicode character, not ",
            type_name(args[1]));
    }
    fill = inserted(self, args[1]);
    if (count_code_points(fill) != 1) {
      raise("TypeError", "The fill character must be exactly one character long");
    }
  }
  const int64_t missing = width - length_in_code_points(self);
  if (missing <= 0) return self;
  spend_bytes(static_cast<size_t>(missing) * fill.size());
  // Python's center puts the odd blank left when the width is odd.
  const int64_t left = align == '<'   ? 0
                       : align == '>' ? missing
                                      : missing / 2 + (missing & width & 1);
  std::string out;
  for (int64_t i = 0; i < left; ++i) out += fill;
  out += self.text();
  for (int64_t i = left; i < missing; ++i) out += fill;
  return like(self, std::move(out));
}

Value str_zfill(const Value& self, Args& args) {
  const int64_t missing = to_index(args[0]) - length_in_code_points(self);
  if (missing <= 0) return self;
  spend_bytes(static_cast<size_t>(missing));
  std::string out = self.text();
  const bool has_sign = !out.empty() && (out[0] == '+' || out[0] == '-');
  out.insert(has_sign ? 1 : 0, static_cast<size_t>(missing), '0');
  return like(self, std::move(out));
}

template <bool prefix>
Value str_remove(const Value& self, Args& args) {
  if (!args[0].is_string()) {
    raise("TypeError", prefix ? "removeprefix" : "removesuffix", "() argument must be str, not ",
          shown_type(args[0]));
  }
  std::string_view text = self.text();
  const std::string_view part = args[0].text();
  if (prefix && text.starts_with(part)) text.remove_prefix(part.size());
  if (!prefix && text.ends_with(part)) text.remove_suffix(part.size());
  return like(self, text);
}

template <bool from_right>
Value str_partition(const Value& self, Args& args) {
  const std::string& separator = need_separator(args[0]);
  const std::string_view text = self.text();
  const size_t at = from_right ? find_text_from_right(text, separator) : find_text(text, separator);
  const Value empty = like(self, std::string());
  if (at == std::string_view::npos) {
    return from_right ? Value::tuple({empty, empty, self}) : Value::tuple({self, empty, empty});
  }
  return Value::tuple({like(self, text.substr(0, at)), like(self, separator),
                       like(self, text.substr(at + separator.size()))});
}

Value str_expandtabs(const Value& self, Args& args) {
  const int64_t size = args[0].is_missing() ? 8 : to_index(args[0]);
  std::string out;
  int64_t column = 0;
  for (const char c : self.text()) {
    if (c == '\t') {
      const int64_t blanks = size > 0 ? size - column % size : 0;
      spend_bytes(static_cast<size_t>(blanks));
      out.append(static_cast<size_t>(blanks), ' ');
      column += blanks;
      continue;
    }
    out += c;
    if ((c & 0xC0) != 0x80) ++column;
    if (c == '\n' || c == '\r') column = 0;
  }
  return like(self, std::move(out));
}

template <std::string (*map)(std::string_view)>
Value str_map(const Value& self, Args&) {
  spend_steps(static_cast<int64_t>(self.text().size() / 64));
  return like(self, map(self.text()));
}

template <CharClass wanted>
Value str_class(const Value& self, Args&) {
  spend_steps(static_cast<int64_t>(self.text().size() / 64));
  return Value::boolean(all_of_class(self.text(), wanted));
}

template <bool (*test)(std::string_view)>
Value str_test(const Value& self, Args&) {
  spend_steps(static_cast<int64_t>(self.text().size() / 64));
  return Value::boolean(test(self.text()));
}

bool is_ascii(std::string_view text) {
  return std::none_of(text.begin(), text.end(), [](char c) { return (c & 0x80) != 0; });
}

Value str_unescape(const Value& self, Args&) { return Value::string(unescape_html(self.text())); }

Value str_bytes(const Value&, Args&) {
  raise("TypeError", "bytes and translation tables do not exist in zhiyin's templates");
}

Value str_format(Runtime&, const Value& self, CallArgs& args) {
  Dict named;
  for (auto& [name, value] : args.named) named.set(name, std::move(value));
  return like(self, brace_format(self, args.positional, named));
}

Value str_format_map(Runtime&, const Value& self, CallArgs& args) {
  if (!args.named.empty()) raise("TypeError", "format_map() takes no keyword arguments");
  if (args.positional.size() != 1) {
    raise("TypeError", "format_map() takes exactly one argument (", args.positional.size(),
          " given)");
  }
  if (!args.positional[0].is(Kind::kDict)) {
    raise("TypeError", "'", type_name(args.positional[0]), "' object is not subscriptable");
  }
  return like(self, brace_format(self, {}, args.positional[0].as<Dict>()));
}

// --- the containers ------------------------------------------------------------------------

Value sequence_count(const Value& self, Args& args) {
  const auto& items = self.items();
  return Value::integer(std::count_if(items.begin(), items.end(), [&](const Value& item) {
    return identical(item, args[0]) || equal(item, args[0]);
  }));
}

Value sequence_index(const Value& self, Args& args) {
  const auto& items = self.items();
  const auto length = static_cast<int64_t>(items.size());
  const auto bound = [&](const Value& value, int64_t fallback) {
    if (value.is_missing()) return fallback;
    if (!value.is_integral()) {
      raise("TypeError", "slice indices must be integers or have an __index__ method");
    }
    const int64_t index = value.as_int();
    return std::clamp<int64_t>(index < 0 ? index + length : index, 0, length);
  };
  const int64_t stop = bound(args[2], length);
  for (int64_t i = bound(args[1], 0); i < stop; ++i) {
    const Value& item = items[static_cast<size_t>(i)];
    if (identical(item, args[0]) || equal(item, args[0])) return Value::integer(i);
  }
  if (self.is(Kind::kTuple)) raise("ValueError", "tuple.index(x): x not in tuple");
  std::string shown;
  append_repr(shown, args[0]);
  raise("ValueError", shown, " is not in list");
}

Value list_copy(const Value& self, Args&) { return Value::list(to_vector(self)); }

Value dict_get(const Value& self, Args& args) {
  if (const Value* found = self.as<Dict>().find(args[0])) return *found;
  return value_or(args[1], Value::none());
}

template <View::What what>
Value dict_view(const Value& self, Args&) {
  return make_view(self, what);
}

Value dict_copy(const Value& self, Args&) {
  auto* copy = new Dict;
  Value out = Value::object(Kind::kDict, copy);
  for (const auto& [key, value] : self.as<Dict>().items()) copy->set(key, value);
  return out;
}

Value range_count(const Value& self, Args& args) {
  return Value::integer(int64_t{contains(self, args[0])});
}

Value range_index(const Value& self, Args& args) {
  if (contains(self, args[0])) {
    const auto& range = self.as<Range>();
    return Value::integer((args[0].as_int() - range.start) / range.step);
  }
  raise("ValueError", to_str(args[0]), " is not in range");
}

Value int_bit_length(const Value& self, Args&) {
  const uint64_t magnitude = self.as_int() < 0 ? 0 - static_cast<uint64_t>(self.as_int())
                                               : static_cast<uint64_t>(self.as_int());
  return Value::integer(int64_t{magnitude == 0 ? 0 : 64 - __builtin_clzll(magnitude)});
}

Value float_is_integer(const Value& self, Args&) {
  return Value::boolean(std::floor(self.as_double()) == self.as_double());
}

// --- jinja2's own objects ------------------------------------------------------------------

Value loop_cycle(Runtime&, const Value& self, CallArgs& args) {
  if (args.positional.empty()) raise("TypeError", "no items for cycling given");
  const auto count = static_cast<int64_t>(args.positional.size());
  return args.positional[static_cast<size_t>(self.as<Loop>().index0 % count)];
}

Value loop_changed(Runtime& runtime, const Value& self, CallArgs& args) {
  auto& loop = self.as<Loop>();
  const Value now = Value::tuple(std::move(args.positional));
  if (!loop.changed.is_missing() && equal(loop.changed, now)) return Value::boolean(false);
  loop.changed = now;
  runtime.adopt(self);  // loop.changed(loop) makes a circle
  return Value::boolean(true);
}

Value cycler_next(const Value& self, Args&) {
  auto& cycler = self.as<Cycler>();
  const Value now = cycler.items[cycler.at];
  cycler.at = (cycler.at + 1) % cycler.items.size();
  return now;
}

Value cycler_reset(const Value& self, Args&) {
  self.as<Cycler>().at = 0;
  return Value::none();
}

}  // namespace

struct Method {
  BuiltinSignature signature;
  Value (*bound)(const Value& self, Args& args) = nullptr;
  Function::Body free = nullptr;
};

namespace {

using enum Arity;

const std::vector<Method>& all_methods() {
  static const std::vector<Method> methods = {
      {{"str.strip", kUnpack, 0, 1}, str_strip<Side::kBoth>},
      {{"str.lstrip", kUnpack, 0, 1}, str_strip<Side::kLeft>},
      {{"str.rstrip", kUnpack, 0, 1}, str_strip<Side::kRight>},
      {{"str.split", kParse, 0, 2, {"sep", "maxsplit"}}, str_split<false>},
      {{"str.rsplit", kParse, 0, 2, {"sep", "maxsplit"}}, str_split<true>},
      {{"str.splitlines", kParse, 0, 1, {"keepends"}}, str_splitlines},
      {{"str.startswith", kParse, 1, 3}, str_starts_or_ends<false>},
      {{"str.endswith", kParse, 1, 3}, str_starts_or_ends<true>},
      {{"str.find", kParse, 1, 3}, str_find<false>},
      {{"str.rfind", kParse, 1, 3}, str_find<true>},
      {{"str.index", kParse, 1, 3}, str_index<false>},
      {{"str.rindex", kParse, 1, 3}, str_index<true>},
      {{"str.count", kParse, 1, 3}, str_count},
      {{"str.replace", kUnpack, 2, 3}, str_replace},
      {{"str.join", kFixed, 1, 1}, str_join},
      {{"str.center", kUnpack, 1, 2}, str_align<'^'>},
      {{"str.ljust", kUnpack, 1, 2}, str_align<'<'>},
      {{"str.rjust", kUnpack, 1, 2}, str_align<'>'>},
      {{"str.zfill", kFixed, 1, 1}, str_zfill},
      {{"str.removeprefix", kFixed, 1, 1}, str_remove<true>},
      {{"str.removesuffix", kFixed, 1, 1}, str_remove<false>},
      {{"str.partition", kFixed, 1, 1}, str_partition<false>},
      {{"str.rpartition", kFixed, 1, 1}, str_partition<true>},
      {{"str.expandtabs", kParse, 0, 1, {"tabsize"}}, str_expandtabs},
      {{"str.upper"}, str_map<upper>},
      {{"str.lower"}, str_map<lower>},
      {{"str.casefold"}, str_map<casefold>},
      {{"str.capitalize"}, str_map<capitalize>},
      {{"str.title"}, str_map<title>},
      {{"str.swapcase"}, str_map<swap_case>},
      {{"str.isalpha"}, str_class<CharClass::kAlpha>},
      {{"str.isdigit"}, str_class<CharClass::kDigit>},
      {{"str.isdecimal"}, str_class<CharClass::kDecimal>},
      {{"str.isnumeric"}, str_class<CharClass::kNumeric>},
      {{"str.isalnum"}, str_class<CharClass::kAlnum>},
      {{"str.isspace"}, str_class<CharClass::kSpace>},
      {{"str.isprintable"}, str_class<CharClass::kPrintable>},
      {{"str.isupper"}, str_test<is_upper>},
      {{"str.islower"}, str_test<is_lower>},
      {{"str.istitle"}, str_test<is_title>},
      {{"str.isascii"}, str_test<is_ascii>},
      {{"str.isidentifier"}, str_test<is_identifier>},
      {{"str.encode", kParse, 0, 2, {"encoding", "errors"}}, str_bytes},
      {{"str.translate", kFixed, 1, 1}, str_bytes},
      {{"str.maketrans", kUnpack, 1, 3}, str_bytes},
      {{"str.format"}, nullptr, str_format},
      {{"str.format_map"}, nullptr, str_format_map},
      {{"Markup.unescape"}, str_unescape},
      {{"list.index", kUnpack, 1, 3}, sequence_index},
      {{"list.count", kFixed, 1, 1}, sequence_count},
      {{"list.copy"}, list_copy},
      {{"tuple.index", kUnpack, 1, 3}, sequence_index},
      {{"tuple.count", kFixed, 1, 1}, sequence_count},
      {{"dict.get", kUnpack, 1, 2}, dict_get},
      {{"dict.items"}, dict_view<View::What::kItems>},
      {{"dict.keys"}, dict_view<View::What::kKeys>},
      {{"dict.values"}, dict_view<View::What::kValues>},
      {{"dict.copy"}, dict_copy},
      {{"range.count", kFixed, 1, 1}, range_count},
      {{"range.index", kFixed, 1, 1}, range_index},
      {{"int.bit_length"}, int_bit_length},
      {{"float.is_integer"}, float_is_integer},
      {{"LoopContext.cycle"}, nullptr, loop_cycle},
      {{"LoopContext.changed"}, nullptr, loop_changed},
      {{"Cycler.next"}, cycler_next},
      {{"Cycler.reset"}, cycler_reset},
  };
  return methods;
}

const Method* lookup(std::string_view type, std::string_view name) {
  static const auto table = [] {
    std::unordered_map<std::string_view, const Method*> by_name;
    for (const Method& method : all_methods()) {
      by_name.emplace(method.signature.qualified_name, &method);
    }
    return by_name;
  }();
  char key[64];  // "type.name" without allocating: every template call comes through here
  if (type.size() + name.size() + 1 > sizeof key) return nullptr;
  type.copy(key, type.size());
  key[type.size()] = '.';
  name.copy(key + type.size() + 1, name.size());
  const auto found = table.find(std::string_view(key, type.size() + 1 + name.size()));
  return found == table.end() ? nullptr : found->second;
}

}  // namespace

int64_t to_index(const Value& value) {
  if (!value.is_integral()) {
    raise("TypeError", "'", type_name(value), "' object cannot be interpreted as an integer");
  }
  return value.as_int();
}

Value find_method(const Value& object, std::string_view name) {
  std::string_view type = type_name(object);
  if (object.is_string() && name != "unescape") type = "str";
  if (object.is(Kind::kBool)) type = "int";
  if (type == "_GroupTuple") type = "tuple";
  const Method* method = lookup(type, name);
  if (method == nullptr) return {};
  const std::string_view kind =
      object.is(Kind::kLoop) || object.is(Kind::kCycler) ? "method" : "builtin_function_or_method";
  const std::string_view qualified = method->signature.qualified_name;
  Value out = make_function(qualified.substr(qualified.find('.') + 1), kind, method->free, object);
  out.as<Function>().method = method;
  return out;
}

Value call_function(Runtime& runtime, const Function& function, CallArgs args) {
  if (function.body != nullptr) return function.body(runtime, function.self, args);
  std::vector<Value> bound = bind_builtin(function.method->signature, std::move(args));
  return function.method->bound(function.self, bound);
}

}  // namespace zhiyin::jinja
