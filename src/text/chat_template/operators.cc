#include "text/chat_template/operators.h"

#include <algorithm>
#include <cmath>

#include "text/chat_template/budget.h"
#include "text/chat_template/format.h"
#include "text/chat_template/methods.h"
#include "text/chat_template/objects.h"
#include "text/chat_template/py_text.h"

namespace zhiyin::jinja {
namespace {

constexpr std::string_view kSymbols[] = {"+", "-", "*", "/", "//", "%", "** or pow()"};

[[noreturn]] void fail_operands(BinaryOp op, const Value& a, const Value& b) {
  raise("TypeError", "unsupported operand type(s) for ", kSymbols[static_cast<size_t>(op)], ": '",
        type_name(a), "' and '", type_name(b), "'");
}

[[noreturn]] void fail_range() {
  raise("OverflowError", "an integer beyond 64 bits, which zhiyin's templates do not have");
}

int64_t int_power(int64_t base, int64_t exponent) {
  int64_t result = 1;
  while (exponent > 0) {
    if ((exponent & 1) != 0 && __builtin_mul_overflow(result, base, &result)) fail_range();
    exponent >>= 1;
    if (exponent > 0 && __builtin_mul_overflow(base, base, &base)) fail_range();
  }
  return result;
}

int64_t floor_mod(int64_t a, int64_t b) {
  if (b == -1) return 0;  // INT64_MIN % -1 is undefined
  const int64_t rest = a % b;
  return rest != 0 && (rest < 0) != (b < 0) ? rest + b : rest;
}

double floor_mod(double a, double b) {
  double rest = std::fmod(a, b);
  if (rest != 0) return (rest < 0) != (b < 0) ? rest + b : rest;
  return std::copysign(0.0, b);
}

double floor_div(double a, double b) {
  const double rest = floor_mod(a, b);
  const double quotient = (a - rest) / b;
  if (quotient == 0) return std::copysign(0.0, a / b);
  const double floored = std::floor(quotient);
  return quotient - floored > 0.5 ? floored + 1 : floored;
}

Value int_arithmetic(BinaryOp op, int64_t a, int64_t b) {
  int64_t result = 0;
  bool overflow = false;
  switch (op) {
    case BinaryOp::kAdd:
      overflow = __builtin_add_overflow(a, b, &result);
      break;
    case BinaryOp::kSub:
      overflow = __builtin_sub_overflow(a, b, &result);
      break;
    case BinaryOp::kMul:
      overflow = __builtin_mul_overflow(a, b, &result);
      break;
    case BinaryOp::kDiv:
      if (b == 0) raise("ZeroDivisionError", "division by zero");
      return Value::number(static_cast<double>(a) / static_cast<double>(b));
    case BinaryOp::kFloorDiv:
      if (b == 0) raise("ZeroDivisionError", "integer division or modulo by zero");
      overflow = a == INT64_MIN && b == -1;
      if (!overflow) result = a / b - (a % b != 0 && (a < 0) != (b < 0) ? 1 : 0);
      break;
    case BinaryOp::kMod:
      if (b == 0) raise("ZeroDivisionError", "integer modulo by zero");
      result = floor_mod(a, b);
      break;
    case BinaryOp::kPow:
      if (b < 0) {
        if (a == 0) raise("ZeroDivisionError", "0.0 cannot be raised to a negative power");
        return Value::number(std::pow(static_cast<double>(a), static_cast<double>(b)));
      }
      result = int_power(a, b);
      break;
  }
  if (overflow) fail_range();
  return Value::integer(result);
}

Value float_arithmetic(BinaryOp op, double a, double b) {
  switch (op) {
    case BinaryOp::kAdd:
      return Value::number(a + b);
    case BinaryOp::kSub:
      return Value::number(a - b);
    case BinaryOp::kMul:
      return Value::number(a * b);
    case BinaryOp::kDiv:
      if (b == 0) raise("ZeroDivisionError", "float division by zero");
      return Value::number(a / b);
    case BinaryOp::kFloorDiv:
      if (b == 0) raise("ZeroDivisionError", "float floor division by zero");
      return Value::number(floor_div(a, b));
    case BinaryOp::kMod:
      if (b == 0) raise("ZeroDivisionError", "float modulo");
      return Value::number(floor_mod(a, b));
    case BinaryOp::kPow: {
      if (a == 0 && b < 0) {
        raise("ZeroDivisionError", "0.0 cannot be raised to a negative power");
      }
      const double result = std::pow(a, b);
      if (std::isinf(result) && !std::isinf(a) && !std::isinf(b)) {
        raise("OverflowError", "(34, 'Numerical result out of range')");
      }
      return Value::number(result);
    }
  }
  return {};
}

Value add(const Value& a, const Value& b) {
  if (a.is_string() && b.is_string()) {
    const bool markup = a.is_markup() || b.is_markup();
    spend_bytes(a.text().size() + b.text().size());
    if (!markup) return Value::string(a.text() + b.text());
    return Value::string(escaped(a) + escaped(b), true);
  }
  if (a.is_sequence() && a.kind() == b.kind()) {
    spend_bytes((a.items().size() + b.items().size()) * sizeof(Value));
    std::vector<Value> items = a.items();
    items.insert(items.end(), b.items().begin(), b.items().end());
    return a.is(Kind::kList) ? Value::list(std::move(items)) : Value::tuple(std::move(items));
  }
  if (a.is_markup()) fail_operands(BinaryOp::kAdd, a, b);
  if (a.is_string() || a.is_sequence()) {
    raise("TypeError", "can only concatenate ", type_name(a), " (not \"", type_name(b), "\") to ",
          type_name(a));
  }
  fail_operands(BinaryOp::kAdd, a, b);
}

Value repeat(const Value& value, int64_t count) {
  const auto times = static_cast<size_t>(std::max<int64_t>(count, 0));
  const size_t unit =
      value.is_string() ? value.text().size() : value.items().size() * sizeof(Value);
  size_t bytes = 0;
  if (__builtin_mul_overflow(unit, times, &bytes)) bytes = SIZE_MAX;
  spend_bytes(bytes);
  if (value.is_string()) {
    std::string out;
    out.reserve(bytes);
    if (unit > 0) {
      for (size_t i = 0; i < times; ++i) out += value.text();
    }
    return Value::string(std::move(out), value.is_markup());
  }
  std::vector<Value> out;
  const auto& items = value.items();
  out.reserve(items.size() * (items.empty() ? 0 : times));
  for (size_t i = 0; i < times && !items.empty(); ++i) {
    out.insert(out.end(), items.begin(), items.end());
  }
  return value.is(Kind::kList) ? Value::list(std::move(out)) : Value::tuple(std::move(out));
}

bool is_repeatable(const Value& value) { return value.is_string() || value.is_sequence(); }

Value multiply(const Value& a, const Value& b) {
  if (!is_repeatable(a) && !is_repeatable(b)) fail_operands(BinaryOp::kMul, a, b);
  const Value& sequence = is_repeatable(a) ? a : b;
  const Value& count = is_repeatable(a) ? b : a;
  if (!count.is_integral()) {
    raise("TypeError", "can't multiply sequence by non-int of type '", type_name(count), "'");
  }
  return repeat(sequence, count.as_int());
}

// The int of a subscript or slice bound; false for anything that is not one.
bool as_index(const Value& value, int64_t& index) {
  if (!value.is_integral()) return false;
  index = value.as_int();
  return true;
}

// object[index] of strings, lists, tuples and ranges; missing out of range.
Value item_at(const Value& object, int64_t index) {
  const int64_t length = length_of(object);
  if (index < 0) index += length;
  if (index < 0 || index >= length) return {};
  if (object.is_sequence()) return object.items()[static_cast<size_t>(index)];
  if (object.is(Kind::kRange)) {
    const auto& range = object.as<Range>();
    return Value::integer(range.start + index * range.step);
  }
  const std::string& text = object.text();
  spend_steps(index / 64);
  const size_t begin = static_cast<size_t>(length) == text.size()
                           ? static_cast<size_t>(index)
                           : byte_offset(text, static_cast<size_t>(index));
  const size_t size = byte_offset(std::string_view(text).substr(begin), 1);
  return Value::string(text.substr(begin, size), object.is_markup());
}

// slice.indices: start, stop and step brought into the sequence's bounds.
struct Bounds {
  int64_t start, stop, step, count;
};

int64_t slice_bound(const Value& value, int64_t fallback, int64_t length, int64_t low,
                    int64_t high) {
  if (value.is_none()) return fallback;
  int64_t bound = 0;
  if (!as_index(value, bound)) {
    raise("TypeError", "slice indices must be integers or None or have an __index__ method");
  }
  if (bound < 0) bound = bound < -length ? low : bound + length;
  return std::clamp(bound, low, high);
}

Bounds slice_bounds(const Value& start, const Value& stop, const Value& step, int64_t length) {
  int64_t stride = 1;
  if (!step.is_none() && !as_index(step, stride)) {
    raise("TypeError", "slice indices must be integers or None or have an __index__ method");
  }
  if (stride == 0) raise("ValueError", "slice step cannot be zero");
  stride = std::max(stride, -INT64_MAX);
  const bool forward = stride > 0;
  const int64_t low = forward ? 0 : -1, high = forward ? length : length - 1;
  const int64_t first = slice_bound(start, forward ? low : high, length, low, high);
  const int64_t last = slice_bound(stop, forward ? high : low, length, low, high);
  int64_t count = 0;
  if (forward && first < last) count = (last - first - 1) / stride + 1;
  if (!forward && first > last) count = (first - last - 1) / -stride + 1;
  return {first, last, stride, count};
}

Value slice_text(const Value& object, const Bounds& bounds) {
  const std::string& text = object.text();
  const bool ascii = static_cast<size_t>(length_in_code_points(object)) == text.size();
  std::string out;
  if (bounds.step == 1) {
    const auto start = static_cast<size_t>(bounds.start), count = static_cast<size_t>(bounds.count);
    spend_steps(static_cast<int64_t>(text.size() / 64));
    const size_t begin = ascii ? start : byte_offset(text, start);
    const size_t size = ascii ? count : byte_offset(std::string_view(text).substr(begin), count);
    out = text.substr(begin, size);
  } else {
    spend_bytes(text.size() * sizeof(std::string_view));
    std::vector<std::string_view> characters;
    for (size_t at = 0; at < text.size();) {
      const size_t size = byte_offset(std::string_view(text).substr(at), 1);
      characters.push_back(std::string_view(text).substr(at, size));
      at += size;
    }
    for (int64_t i = 0; i < bounds.count; ++i) {
      out += characters[static_cast<size_t>(bounds.start + i * bounds.step)];
    }
  }
  return Value::string(std::move(out), object.is_markup());
}

// Attributes of jinja2's own objects, and of numbers.
Value loop_attribute(const Value& object, std::string_view name) {
  auto& loop = object.as<Loop>();
  if (name == "index") return Value::integer(loop.index0 + 1);
  if (name == "index0") return Value::integer(loop.index0);
  if (name == "first") return Value::boolean(loop.index0 == 0);
  if (name == "last") return Value::boolean(loop.peek().is_missing());
  if (name == "length") return Value::integer(loop.count());
  if (name == "revindex") return Value::integer(loop.count() - loop.index0);
  if (name == "revindex0") return Value::integer(loop.count() - loop.index0 - 1);
  if (name == "depth") return Value::integer(loop.depth0 + 1);
  if (name == "depth0") return Value::integer(loop.depth0);
  if (name == "previtem") {
    return loop.index0 == 0 ? make_undefined("there is no previous item") : loop.before;
  }
  if (name == "nextitem") {
    const Value& next = loop.peek();
    return next.is_missing() ? make_undefined("there is no next item") : next;
  }
  return {};
}

Value number_attribute(const Value& object, std::string_view name) {
  if (name == "real") {
    return object.is(Kind::kBool) ? Value::integer(object.as_int()) : object;
  }
  if (name == "imag")
    return object.is(Kind::kFloat) ? Value::number(0) : Value::integer(int64_t{0});
  if (object.is(Kind::kFloat)) return {};
  if (name == "numerator") return Value::integer(object.as_int());
  if (name == "denominator") return Value::integer(int64_t{1});
  return {};
}

// Sandbox: names that exist on every Python object, or on its containers, so that reading one is
// forbidden, not absent.
bool has_dunder(const Value& object, std::string_view name) {
  static constexpr std::string_view kOfAll[] = {
      "__class__",   "__delattr__", "__dir__",           "__doc__",         "__eq__",
      "__format__",  "__ge__",      "__getattribute__",  "__getstate__",    "__gt__",
      "__hash__",    "__init__",    "__init_subclass__", "__le__",          "__lt__",
      "__ne__",      "__new__",     "__reduce__",        "__reduce_ex__",   "__repr__",
      "__setattr__", "__sizeof__",  "__str__",           "__subclasshook__"};
  static constexpr std::string_view kOfContainers[] = {"__contains__", "__getitem__", "__iter__",
                                                       "__len__"};
  const auto in = [name](const auto& names) {
    return std::find(std::begin(names), std::end(names), name) != std::end(names);
  };
  const bool container = object.is_string() || object.is_sequence() || object.is(Kind::kDict);
  return in(kOfAll) || (container && in(kOfContainers));
}

bool changes_object(const Value& object, std::string_view name) {
  static constexpr std::string_view kList[] = {"append", "clear", "pop",    "reverse",
                                               "insert", "sort",  "extend", "remove"};
  static constexpr std::string_view kDict[] = {"clear", "pop", "popitem", "setdefault", "update"};
  if (object.is(Kind::kList))
    return std::find(std::begin(kList), std::end(kList), name) != std::end(kList);
  if (object.is(Kind::kDict))
    return std::find(std::begin(kDict), std::end(kDict), name) != std::end(kDict);
  return false;
}

}  // namespace

Value binary(BinaryOp op, const Value& a, const Value& b) {
  if (a.is(Kind::kInt) && b.is(Kind::kInt)) return int_arithmetic(op, a.as_int(), b.as_int());
  if (op == BinaryOp::kMod && a.is_string()) {
    return Value::string(percent_format(a, b), a.is_markup());
  }
  if (a.is_undefined()) fail_undefined(a);
  if (b.is_undefined()) fail_undefined(b);
  if (a.is_number() && b.is_number()) {
    if (a.is_integral() && b.is_integral()) return int_arithmetic(op, a.as_int(), b.as_int());
    return float_arithmetic(op, a.as_double(), b.as_double());
  }
  if (op == BinaryOp::kAdd) return add(a, b);
  if (op == BinaryOp::kMul) return multiply(a, b);
  fail_operands(op, a, b);
}

Value negate(const Value& value) {
  if (value.is(Kind::kFloat)) return Value::number(-value.as_double());
  if (value.is_integral()) {
    if (value.as_int() == INT64_MIN) fail_range();
    return Value::integer(-value.as_int());
  }
  if (value.is_undefined()) fail_undefined(value);
  raise("TypeError", "bad operand type for unary -: '", type_name(value), "'");
}

Value positive(const Value& value) {
  if (value.is(Kind::kFloat)) return value;
  if (value.is_integral()) return Value::integer(value.as_int());
  if (value.is_undefined()) fail_undefined(value);
  raise("TypeError", "bad operand type for unary +: '", type_name(value), "'");
}

bool compare(CompareOp op, const Value& a, const Value& b) {
  switch (op) {
    case CompareOp::kEq:
      return equal(a, b);
    case CompareOp::kNe:
      return !equal(a, b);
    case CompareOp::kLt:
      return ordered(Order::kLess, a, b);
    case CompareOp::kLe:
      return ordered(Order::kLessEqual, a, b);
    case CompareOp::kGt:
      return ordered(Order::kGreater, a, b);
    case CompareOp::kGe:
      return ordered(Order::kGreaterEqual, a, b);
    case CompareOp::kIn:
      return contains(b, a);
    case CompareOp::kNotIn:
      return !contains(b, a);
  }
  return false;
}

bool contains(const Value& container, const Value& item) {
  switch (container.kind()) {
    case Kind::kString:
      if (!item.is_string()) {
        raise("TypeError", "'in <string>' requires string as left operand, not ", type_name(item));
      }
      return find_text(container.text(), item.text()) != std::string::npos;
    case Kind::kDict:
      return container.as<Dict>().find(item) != nullptr;
    case Kind::kRange: {
      if (!item.is_number()) return false;
      const auto& range = container.as<Range>();
      const double number = item.as_double();
      if (number != std::floor(number) || std::fabs(number) > 9e18) return false;
      const __int128 distance = static_cast<__int128>(number) - range.start;
      return distance % range.step == 0 && distance / range.step >= 0 &&
             distance / range.step < range.length;
    }
    case Kind::kView:
      if (container.as<View>().what == View::What::kKeys) {
        return container.as<View>().dict.as<Dict>().find(item) != nullptr;
      }
      break;
    default:
      if (!is_iterable(container)) {
        raise("TypeError", "argument of type '", type_name(container), "' is not iterable");
      }
  }
  Iterator iterator(container);
  for (Value other; iterator.next(other);) {
    if (identical(other, item) || equal(other, item)) return true;
  }
  return false;
}

Value own_attribute(const Value& object, std::string_view name) {
  switch (object.kind()) {
    case Kind::kNamespace: {
      const Value* found = object.as<Namespace>().attributes.find(name);
      return found == nullptr ? Value() : *found;
    }
    case Kind::kLoop:
      if (Value found = loop_attribute(object, name); !found.is_missing()) return found;
      break;
    case Kind::kBool:
    case Kind::kInt:
    case Kind::kFloat:
      if (Value found = number_attribute(object, name); !found.is_missing()) return found;
      break;
    case Kind::kTuple:
      if (object.as<Sequence>().group && name == "grouper") return object.items()[0];
      if (object.as<Sequence>().group && name == "list") return object.items()[1];
      break;
    case Kind::kRange: {
      const auto& range = object.as<Range>();
      if (name == "start") return Value::integer(range.start);
      if (name == "stop") return Value::integer(range.stop);
      if (name == "step") return Value::integer(range.step);
      break;
    }
    case Kind::kMacro:
      if (name == "name") {
        const std::string& text = macro_name(object);
        return text.empty() ? Value::none() : Value::string(text);
      }
      break;
    case Kind::kCycler: {
      const auto& cycler = object.as<Cycler>();
      if (name == "current") return cycler.items[cycler.at];
      if (name == "pos") return Value::integer(cycler.at);
      if (name == "items") return Value::tuple(cycler.items);
      break;
    }
    case Kind::kJoiner:
      if (name == "sep") return object.as<Joiner>().separator;
      if (name == "used") return Value::boolean(object.as<Joiner>().used);
      break;
    default:
      break;
  }
  return find_method(object, name);
}

namespace {

// What getattr(object, name) gives a template: the value, or missing if there is no attribute.
Value sandboxed_attribute(const Value& object, std::string_view name) {
  if (changes_object(object, name)) return insecure_member(object, name);
  if (!name.empty() && name[0] == '_') {
    const bool exists = object.is(Kind::kNamespace) ? !own_attribute(object, name).is_missing()
                                                    : has_dunder(object, name);
    return exists ? insecure_member(object, name) : Value();
  }
  return own_attribute(object, name);
}

}  // namespace

Value get_attribute(const Value& object, std::string_view name) {
  if (object.is_undefined()) fail_undefined(object);
  if (Value found = sandboxed_attribute(object, name); !found.is_missing()) return found;
  if (object.is(Kind::kDict)) {
    if (const Value* found = object.as<Dict>().find(name)) return *found;
  }
  return undefined_member(object, Value::string(std::string(name)));
}

Value get_item(const Value& object, const Value& key) {
  switch (object.kind()) {
    case Kind::kUndefined:
      fail_undefined(object);
    case Kind::kDict: {
      if (key.is(Kind::kList) || key.is(Kind::kDict)) break;  // TypeError: unhashable
      if (const Value* found = object.as<Dict>().find(key)) return *found;
      break;
    }
    case Kind::kString:
    case Kind::kList:
    case Kind::kTuple:
    case Kind::kRange: {
      int64_t index = 0;
      if (!as_index(key, index)) break;
      if (Value found = item_at(object, index); !found.is_missing()) return found;
      break;
    }
    default:
      break;
  }
  if (key.is_string()) {
    if (Value found = sandboxed_attribute(object, key.text()); !found.is_missing()) return found;
  }
  return undefined_member(object, key);
}

Value get_slice(const Value& object, const Value& start, const Value& stop, const Value& step) {
  switch (object.kind()) {
    case Kind::kString:
      return slice_text(object, slice_bounds(start, stop, step, length_of(object)));
    case Kind::kList:
    case Kind::kTuple: {
      const Bounds bounds = slice_bounds(start, stop, step, length_of(object));
      spend_bytes(static_cast<size_t>(bounds.count) * sizeof(Value));
      std::vector<Value> items;
      items.reserve(static_cast<size_t>(bounds.count));
      for (int64_t i = 0; i < bounds.count; ++i) {
        items.push_back(object.items()[static_cast<size_t>(bounds.start + i * bounds.step)]);
      }
      return object.is(Kind::kList) ? Value::list(std::move(items))
                                    : Value::tuple(std::move(items));
    }
    case Kind::kRange: {
      const auto& range = object.as<Range>();
      const Bounds bounds = slice_bounds(start, stop, step, range.length);
      const auto scaled = [&](int64_t count) {
        return int_arithmetic(BinaryOp::kMul, count, range.step).as_int();
      };
      const auto bound = [&](int64_t index) {
        return int_arithmetic(BinaryOp::kAdd, range.start, scaled(index)).as_int();
      };
      return make_range(bound(bounds.start), bound(bounds.stop), scaled(bounds.step));
    }
    case Kind::kUndefined:
      fail_undefined(object);
    case Kind::kDict:
      raise("TypeError", "unhashable type: 'slice'");
    default:
      raise("TypeError", "'", type_name(object), "' object is not subscriptable");
  }
}

std::string escaped(const Value& value) {
  if (value.is_markup()) return value.text();
  return escape_html(to_str(value));
}

}  // namespace zhiyin::jinja
