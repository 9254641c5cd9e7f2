#include "text/chat_template/value.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "text/chat_template/budget.h"
#include "text/chat_template/objects.h"
#include "text/chat_template/py_text.h"

namespace zhiyin::jinja {
namespace {

uint64_t mix(uint64_t h) {
  h ^= h >> 33;
  h *= 0xff51afd7ed558ccdULL;
  h ^= h >> 33;
  return h;
}

uint64_t hash_text(std::string_view text) { return std::hash<std::string_view>{}(text); }

// Shared parts make a small value large to walk, so every step counts.
void check_nesting(int depth, std::string_view doing) {
  spend_steps();
  if (depth > kMaxNesting) raise("RecursionError", "maximum recursion depth exceeded ", doing);
}

bool equal_items(const std::vector<Value>& a, const std::vector<Value>& b, int depth) {
  return a.size() == b.size() &&
         std::equal(a.begin(), a.end(), b.begin(), [depth](const Value& x, const Value& y) {
           return identical(x, y) || equal(x, y, depth + 1);
         });
}

bool equal_dicts(const Dict& a, const Dict& b, int depth) {
  if (a.size() != b.size()) return false;
  return std::all_of(a.items().begin(), a.items().end(), [&](const Dict::Item& item) {
    const Value* other = b.find(item.first);
    return other != nullptr && equal(item.second, *other, depth + 1);
  });
}

template <typename T>
bool in_order(Order order, const T& a, const T& b) {
  switch (order) {
    case Order::kLess:
      return a < b;
    case Order::kLessEqual:
      return a <= b;
    case Order::kGreater:
      return a > b;
    case Order::kGreaterEqual:
      return a >= b;
  }
  return false;
}

void append_items(std::string& out, const std::vector<Value>& items, int depth) {
  bool first = true;
  for (const Value& item : items) {
    if (!first) out += ", ";
    first = false;
    append_repr(out, item, depth + 1);
  }
}

void append_dict(std::string& out, const Dict& dict, int depth) {
  out += '{';
  bool first = true;
  for (const auto& [key, value] : dict.items()) {
    if (!first) out += ", ";
    first = false;
    append_repr(out, key, depth + 1);
    out += ": ";
    append_repr(out, value, depth + 1);
  }
  out += '}';
}

void append_view(std::string& out, const View& view, int depth) {
  out += view.what == View::What::kKeys     ? "dict_keys(["
         : view.what == View::What::kValues ? "dict_values(["
                                            : "dict_items([";
  bool first = true;
  for (const auto& [key, value] : view.dict.as<Dict>().items()) {
    if (!first) out += ", ";
    first = false;
    if (view.what == View::What::kItems) {
      out += '(';
      append_repr(out, key, depth + 1);
      out += ", ";
    }
    append_repr(out, view.what == View::What::kKeys ? key : value, depth + 1);
    if (view.what == View::What::kItems) out += ')';
  }
  out += "])";
}

// Python shows the address; a template that prints one has no reproducible text to match.
void append_opaque(std::string& out, const Value& value) {
  out += cat("<", object_type_repr(value), ">");
}

}  // namespace

Object::Object() {
  constexpr size_t kTypicalSize = 96;  // with what the allocator adds
  spend_bytes(kTypicalSize);
}

void destroy(Object* object) noexcept {
  // Objects freed by a destructor wait in a queue instead of recursing into their own.
  thread_local std::vector<Object*> waiting;
  thread_local bool busy = false;
  if (busy) {
    waiting.push_back(object);
    return;
  }
  busy = true;
  delete object;
  while (!waiting.empty()) {
    Object* next = waiting.back();
    waiting.pop_back();
    delete next;
  }
  busy = false;
}

Value Value::boolean(bool value) {
  Value out(Kind::kBool);
  out.bits_.boolean = value;
  return out;
}

Value Value::integer(int64_t value) {
  Value out(Kind::kInt);
  out.bits_.integer = value;
  return out;
}

Value Value::number(double value) {
  Value out(Kind::kFloat);
  out.bits_.number = value;
  return out;
}

Value Value::object(Kind kind, Object* object) {
  Value out(kind);
  out.bits_.object = object;
  out.retain();
  return out;
}

Value Value::string(std::string text, bool markup) {
  spend_bytes(text.size());
  auto* object = new Str;
  object->text = std::move(text);
  object->markup = markup;
  return Value::object(Kind::kString, object);
}

Value Value::list(std::vector<Value> items) {
  spend_bytes(items.size() * sizeof(Value));
  auto* object = new Sequence;
  object->items = std::move(items);
  return Value::object(Kind::kList, object);
}

Value Value::tuple(std::vector<Value> items) {
  spend_bytes(items.size() * sizeof(Value));
  auto* object = new Sequence;
  object->items = std::move(items);
  return Value::object(Kind::kTuple, object);
}

bool Value::is_markup() const { return is_string() && as<Str>().markup; }
const std::string& Value::text() const { return as<Str>().text; }
const std::vector<Value>& Value::items() const { return as<Sequence>().items; }

template <typename Equal>
const Dict::Item* Dict::lookup(uint64_t hash, const Equal& same) const {
  if (index_.empty()) {
    for (size_t i = 0; i < items_.size(); ++i) {
      if (hashes_[i] == hash && same(items_[i].first)) return &items_[i];
    }
    return nullptr;
  }
  const size_t mask = index_.size() - 1;
  for (size_t slot = hash & mask; index_[slot] != 0; slot = (slot + 1) & mask) {
    const size_t i = index_[slot] - 1;
    if (hashes_[i] == hash && same(items_[i].first)) return &items_[i];
  }
  return nullptr;
}

const Value* Dict::find(const Value& key) const {
  const Item* item = lookup(hash_value(key), [&](const Value& other) { return equal(other, key); });
  return item == nullptr ? nullptr : &item->second;
}

const Value* Dict::find(std::string_view key) const {
  const Item* item = lookup(mix(hash_text(key)), [&](const Value& other) {
    return other.is_string() && other.text() == key;
  });
  return item == nullptr ? nullptr : &item->second;
}

void Dict::set(Value key, Value value) {
  const uint64_t hash = hash_value(key);
  if (const Item* item = lookup(hash, [&](const Value& other) { return equal(other, key); })) {
    const_cast<Item*>(item)->second = std::move(value);
    return;
  }
  items_.emplace_back(std::move(key), std::move(value));
  hashes_.push_back(hash);
  if (items_.size() <= 8) return;
  if (items_.size() * 2 > index_.size()) {
    rebuild_index();
    return;
  }
  const size_t mask = index_.size() - 1;
  size_t slot = hash & mask;
  while (index_[slot] != 0) slot = (slot + 1) & mask;
  index_[slot] = static_cast<uint32_t>(items_.size());
}

void Dict::rebuild_index() {
  size_t size = 32;
  while (size < items_.size() * 4) size *= 2;
  index_.assign(size, 0);
  for (size_t i = 0; i < items_.size(); ++i) {
    size_t slot = hashes_[i] & (size - 1);
    while (index_[slot] != 0) slot = (slot + 1) & (size - 1);
    index_[slot] = static_cast<uint32_t>(i + 1);
  }
}

void Dict::clear() {
  // Out of the members first: destroying a value may come back to this dict.
  const std::vector<Item> items = std::move(items_);
  items_.clear();
  hashes_.clear();
  index_.clear();
}

Value make_undefined(std::string hint) {
  auto* object = new Undefined;
  object->hint = std::move(hint);
  return Value::object(Kind::kUndefined, object);
}

Value undefined_variable(std::string_view name) {
  auto* object = new Undefined;
  object->name = Value::string(std::string(name));
  return Value::object(Kind::kUndefined, object);
}

Value undefined_member(const Value& owner, const Value& name) {
  auto* object = new Undefined;
  object->owner = object_type_repr(owner);
  object->name = name;
  return Value::object(Kind::kUndefined, object);
}

Value insecure_member(const Value& owner, std::string_view name) {
  Value out = make_undefined(cat("access to attribute ", repr_string(name), " of '",
                                 type_name(owner), "' object is unsafe."));
  out.as<Undefined>().insecure = true;
  return out;
}

Value make_range(int64_t start, int64_t stop, int64_t step) {
  auto* object = new Range;
  object->start = start;
  object->stop = stop;
  object->step = step;
  // In 128 bits: the bounds are anything the template wrote.
  const __int128 span = static_cast<__int128>(stop) - start;
  const __int128 length = step > 0 ? (span + step - 1) / step : (span + step + 1) / step;
  const bool empty = step > 0 ? span <= 0 : span >= 0;
  object->length = empty ? 0 : static_cast<int64_t>(std::min<__int128>(length, INT64_MAX));
  return Value::object(Kind::kRange, object);
}

Value make_view(Value dict, View::What what) {
  auto* object = new View;
  object->dict = std::move(dict);
  object->what = what;
  return Value::object(Kind::kView, object);
}

Value make_generator(std::function<bool(Value&)> pull, std::string_view type_repr) {
  auto* object = new Generator;
  object->pull = std::move(pull);
  object->type_repr = type_repr;
  return Value::object(Kind::kGenerator, object);
}

Value make_function(std::string_view name, std::string_view type_name, Function::Body body,
                    Value self) {
  auto* object = new Function;
  object->name = name;
  object->body = body;
  object->self = std::move(self);
  object->type_name = type_name;
  return Value::object(Kind::kFunction, object);
}

void fail_undefined(const Value& value) {
  const auto& undefined = value.as<Undefined>();
  const std::string_view kind = undefined.insecure ? "SecurityError" : "UndefinedError";
  if (!undefined.hint.empty()) raise(kind, undefined.hint);
  std::string name;
  append_repr(name, undefined.name);
  if (undefined.owner.empty()) raise(kind, name, " is undefined");
  if (!undefined.name.is_string()) raise(kind, undefined.owner, " has no element ", name);
  raise(kind, repr_string(undefined.owner), " has no attribute ", name);
}

std::string_view type_name(const Value& value) {
  switch (value.kind()) {
    case Kind::kMissing:
    case Kind::kUndefined:
      return "Undefined";
    case Kind::kNone:
      return "NoneType";
    case Kind::kBool:
      return "bool";
    case Kind::kInt:
      return "int";
    case Kind::kFloat:
      return "float";
    case Kind::kString:
      return value.is_markup() ? "Markup" : "str";
    case Kind::kList:
      return "list";
    case Kind::kTuple:
      return value.as<Sequence>().group ? "_GroupTuple" : "tuple";
    case Kind::kDict:
      return "dict";
    case Kind::kNamespace:
      return "Namespace";
    case Kind::kRange:
      return "range";
    case Kind::kView: {
      const View::What what = value.as<View>().what;
      return what == View::What::kKeys     ? "dict_keys"
             : what == View::What::kValues ? "dict_values"
                                           : "dict_items";
    }
    case Kind::kGenerator: {
      const std::string_view repr = value.as<Generator>().type_repr;
      return repr.substr(0, repr.find(' '));
    }
    case Kind::kLoop:
      return "LoopContext";
    case Kind::kMacro:
      return "Macro";
    case Kind::kFunction:
      return value.as<Function>().type_name;
    case Kind::kCycler:
      return "Cycler";
    case Kind::kJoiner:
      return "Joiner";
  }
  return "object";
}

std::string_view object_type_repr(const Value& value) {
  switch (value.kind()) {
    case Kind::kNone:
      return "None";
    case Kind::kBool:
      return "bool object";
    case Kind::kInt:
      return "int object";
    case Kind::kFloat:
      return "float object";
    case Kind::kString:
      return value.is_markup() ? "markupsafe.Markup object" : "str object";
    case Kind::kList:
      return "list object";
    case Kind::kTuple:
      return value.as<Sequence>().group ? "jinja2.filters._GroupTuple object" : "tuple object";
    case Kind::kDict:
      return "dict object";
    case Kind::kNamespace:
      return "jinja2.utils.Namespace object";
    case Kind::kRange:
      return "range object";
    case Kind::kView: {
      const View::What what = value.as<View>().what;
      return what == View::What::kKeys     ? "dict_keys object"
             : what == View::What::kValues ? "dict_values object"
                                           : "dict_items object";
    }
    case Kind::kGenerator:
      return value.as<Generator>().type_repr;
    case Kind::kLoop:
      return "jinja2.runtime.LoopContext object";
    case Kind::kMacro:
      return "jinja2.runtime.Macro object";
    case Kind::kFunction:
      return value.as<Function>().type_name == "function" ? "function object"
             : value.as<Function>().type_name == "type"   ? "type object"
             : value.as<Function>().type_name == "method" ? "method object"
                                                          : "builtin_function_or_method object";
    case Kind::kCycler:
      return "jinja2.utils.Cycler object";
    case Kind::kJoiner:
      return "jinja2.utils.Joiner object";
    case Kind::kMissing:
    case Kind::kUndefined:
      break;
  }
  return "jinja2.runtime.Undefined object";
}

bool truthy(const Value& value) {
  switch (value.kind()) {
    case Kind::kMissing:
    case Kind::kNone:
    case Kind::kUndefined:
      return false;
    case Kind::kBool:
    case Kind::kInt:
      return value.as_int() != 0;
    case Kind::kFloat:
      return value.as_double() != 0;
    case Kind::kString:
      return !value.text().empty();
    case Kind::kList:
    case Kind::kTuple:
      return !value.items().empty();
    case Kind::kDict:
      return value.as<Dict>().size() > 0;
    case Kind::kRange:
      return value.as<Range>().length > 0;
    case Kind::kView:
      return value.as<View>().dict.as<Dict>().size() > 0;
    case Kind::kLoop:
      return loop_length(value) > 0;
    default:
      return true;
  }
}

bool identical(const Value& a, const Value& b) {
  if (a.kind() != b.kind()) return false;
  switch (a.kind()) {
    case Kind::kMissing:
    case Kind::kNone:
      return true;
    case Kind::kBool:
    case Kind::kInt:
      return a.as_int() == b.as_int();
    case Kind::kFloat:
      return a.as_double() == b.as_double();
    case Kind::kString:  // CPython interns what templates compare this way
      return a.address() == b.address() || (a.is_markup() == b.is_markup() && a.text() == b.text());
    default:
      return a.address() == b.address();
  }
}

bool equal(const Value& a, const Value& b, int depth) {
  if (a.is_number() && b.is_number()) {
    if (a.is_integral() && b.is_integral()) return a.as_int() == b.as_int();
    return a.as_double() == b.as_double();
  }
  if (a.kind() != b.kind()) return false;
  check_nesting(depth, "in comparison");
  switch (a.kind()) {
    case Kind::kMissing:
    case Kind::kNone:
    case Kind::kUndefined:
      return true;
    case Kind::kString:
      spend_steps(static_cast<int64_t>(a.text().size() / 64));
      return a.text() == b.text();
    case Kind::kList:
    case Kind::kTuple:
      return equal_items(a.items(), b.items(), depth);
    case Kind::kDict:
      return equal_dicts(a.as<Dict>(), b.as<Dict>(), depth);
    case Kind::kRange: {
      const auto &x = a.as<Range>(), &y = b.as<Range>();
      return x.length == y.length &&
             (x.length == 0 || (x.start == y.start && (x.length == 1 || x.step == y.step)));
    }
    case Kind::kFunction: {
      const auto &x = a.as<Function>(), &y = b.as<Function>();
      return x.body == y.body && x.name == y.name && identical(x.self, y.self);
    }
    default:
      return a.address() == b.address();
  }
}

bool ordered(Order order, const Value& a, const Value& b, int depth) {
  if (a.is_integral() && b.is_integral()) return in_order(order, a.as_int(), b.as_int());
  if (a.is_number() && b.is_number()) return in_order(order, a.as_double(), b.as_double());
  if (a.is_string() && b.is_string()) return in_order(order, a.text(), b.text());
  if (a.is_undefined()) fail_undefined(a);
  if (b.is_undefined()) fail_undefined(b);
  if (!a.is_sequence() || a.kind() != b.kind()) {
    static constexpr std::string_view kSymbols[] = {"<", "<=", ">", ">="};
    raise("TypeError", "'", kSymbols[static_cast<size_t>(order)],
          "' not supported between instances of '", type_name(a), "' and '", type_name(b), "'");
  }
  check_nesting(depth, "in comparison");
  const auto &x = a.items(), &y = b.items();
  for (size_t i = 0; i < std::min(x.size(), y.size()); ++i) {
    if (!identical(x[i], y[i]) && !equal(x[i], y[i], depth + 1)) {
      return ordered(order, x[i], y[i], depth + 1);
    }
  }
  return in_order(order, x.size(), y.size());
}

uint64_t hash_value(const Value& value, int depth) {
  switch (value.kind()) {
    case Kind::kNone:
      return 1;
    case Kind::kUndefined:
      return 2;
    case Kind::kBool:
    case Kind::kInt:
      return mix(static_cast<uint64_t>(value.as_int()));
    case Kind::kFloat: {  // equal numbers hash alike
      const double number = value.as_double();
      if (number == std::floor(number) && std::fabs(number) < 9e18) {
        return mix(static_cast<uint64_t>(static_cast<int64_t>(number)));
      }
      return mix(std::hash<double>{}(number));
    }
    case Kind::kString:
      return mix(hash_text(value.text()));
    case Kind::kTuple: {
      check_nesting(depth, "while hashing");
      uint64_t hash = 3;
      for (const Value& item : value.items()) hash = mix(hash * 31 + hash_value(item, depth + 1));
      return hash;
    }
    case Kind::kList:
    case Kind::kDict:
      raise("TypeError", "unhashable type: '", type_name(value), "'");
    default:
      return mix(reinterpret_cast<uintptr_t>(value.address()));
  }
}

int64_t length_in_code_points(const Value& string) {
  auto& object = string.as<Str>();
  if (object.length < 0) object.length = static_cast<int64_t>(count_code_points(object.text));
  return object.length;
}

void append_repr(std::string& out, const Value& value, int depth) {
  check_nesting(depth, "while getting the repr of an object");
  switch (value.kind()) {
    case Kind::kString:
      spend_bytes(value.text().size());
      out += value.is_markup() ? cat("Markup(", repr_string(value.text()), ")")
                               : repr_string(value.text());
      return;
    case Kind::kUndefined:
      out += "Undefined";
      return;
    case Kind::kList:
      out += '[';
      append_items(out, value.items(), depth);
      out += ']';
      return;
    case Kind::kTuple:
      out += '(';
      append_items(out, value.items(), depth);
      out += value.items().size() == 1 ? ",)" : ")";
      return;
    case Kind::kDict:
      append_dict(out, value.as<Dict>(), depth);
      return;
    case Kind::kNamespace:
      out += "<Namespace ";
      append_dict(out, value.as<Namespace>().attributes, depth);
      out += '>';
      return;
    case Kind::kRange: {
      const auto& range = value.as<Range>();
      out += cat("range(", range.start, ", ", range.stop);
      if (range.step != 1) out += cat(", ", range.step);
      out += ')';
      return;
    }
    case Kind::kView:
      append_view(out, value.as<View>(), depth);
      return;
    case Kind::kLoop:
      out += loop_repr(value);
      return;
    case Kind::kMacro: {
      const std::string& name = macro_name(value);
      out += cat("<Macro ", name.empty() ? "anonymous" : repr_string(name), ">");
      return;
    }
    case Kind::kFunction:
      if (value.as<Function>().type_name == "type") {
        const std::string_view name = value.as<Function>().name;
        const bool builtin = name == "dict" || name == "range";
        out += cat("<class '", builtin ? "" : "jinja2.utils.", name, "'>");
        return;
      }
      append_opaque(out, value);
      return;
    case Kind::kGenerator:
    case Kind::kCycler:
    case Kind::kJoiner:
      append_opaque(out, value);
      return;
    default:
      append_str(out, value);
  }
}

void append_str(std::string& out, const Value& value) {
  switch (value.kind()) {
    case Kind::kMissing:
    case Kind::kUndefined:
      return;
    case Kind::kNone:
      out += "None";
      return;
    case Kind::kBool:
      out += value.as_bool() ? "True" : "False";
      return;
    case Kind::kInt:
      out += std::to_string(value.as_int());
      return;
    case Kind::kFloat:
      out += repr_float(value.as_double());
      return;
    case Kind::kString:
      out += value.text();
      return;
    default:
      append_repr(out, value);
  }
}

std::string to_str(const Value& value) {
  std::string out;
  append_str(out, value);
  return out;
}

}  // namespace zhiyin::jinja
