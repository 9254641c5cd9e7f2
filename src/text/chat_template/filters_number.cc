// Filters on numbers and on values of any kind.
#include <cmath>
#include <cstdio>

#include "text/chat_template/filter_tables.h"
#include "text/chat_template/methods.h"
#include "text/chat_template/objects.h"
#include "text/chat_template/operators.h"
#include "text/chat_template/py_text.h"
#include "text/chat_template/tojson.h"

namespace zhiyin::jinja {
namespace {

Value do_abs(Runtime&, const FilterArgs& args) {
  const Value& value = args[0];
  if (value.is_undefined() || !value.is_number()) {
    // Undefined has no __abs__, so it gets Python's own complaint.
    raise("TypeError", "bad operand type for abs(): '", type_name(value), "'");
  }
  if (value.is(Kind::kFloat)) return Value::number(std::fabs(value.as_double()));
  return value.as_int() < 0 ? negate(value) : Value::integer(value.as_int());
}

// int(value) of a float; false with the value of the default filter's exceptions.
bool float_to_int(double number, int64_t& out) {
  if (std::isnan(number) || std::isinf(number)) return false;
  if (std::fabs(number) >= 9.2233720368547748e18) {
    raise("OverflowError", "an integer beyond 64 bits, which zhiyin's templates do not have");
  }
  out = static_cast<int64_t>(number);
  return true;
}

Value do_int(Runtime&, const FilterArgs& args) {
  const Value& value = args[0];
  const Value fallback = value_or(args[1], Value::integer(int64_t{0}));
  int64_t out = 0;
  if (value.is_undefined()) fail_undefined(value);
  if (value.is_string()) {
    const Value base = value_or(args[2], Value::integer(int64_t{10}));
    const IntParse parsed = base.is_integral()
                                ? parse_int(value.text(), static_cast<int>(base.as_int()), out)
                                : IntParse::kInvalid;
    if (parsed == IntParse::kOk) return Value::integer(out);
    if (parsed == IntParse::kTooLarge) {
      raise("OverflowError", "an integer beyond 64 bits, which zhiyin's templates do not have");
    }
    double number = 0;
    if (!parse_float(value.text(), number) || !float_to_int(number, out)) return fallback;
    return Value::integer(out);
  }
  if (value.is_integral()) return Value::integer(value.as_int());
  if (!value.is(Kind::kFloat)) return fallback;
  if (std::isinf(value.as_double())) {
    raise("OverflowError", "cannot convert float infinity to integer");
  }
  return float_to_int(value.as_double(), out) ? Value::integer(out) : fallback;
}

Value do_float(Runtime&, const FilterArgs& args) {
  const Value& value = args[0];
  const Value fallback = value_or(args[1], Value::number(0));
  if (value.is_undefined()) fail_undefined(value);
  if (value.is_number()) return Value::number(value.as_double());
  double out = 0;
  return value.is_string() && parse_float(value.text(), out) ? Value::number(out) : fallback;
}

// round(value, digits), half to even on the exact binary value.
double round_float(double value, int64_t digits) {
  if (!std::isfinite(value) || digits > 323) return value;
  if (digits < -308) return std::copysign(0.0, value);
  if (digits < 0) {
    const double scale = std::pow(10.0, static_cast<double>(-digits));
    return std::nearbyint(value / scale) * scale;
  }
  char buffer[800];
  std::snprintf(buffer, sizeof buffer, "%.*f", static_cast<int>(digits), value);
  return std::strtod(buffer, nullptr);
}

Value round_int(int64_t value, int64_t digits) {
  if (digits >= 0) return Value::integer(value);
  if (digits < -18) return Value::integer(int64_t{0});
  int64_t scale = 1;
  for (int64_t i = 0; i < -digits; ++i) scale *= 10;
  int64_t quotient = value / scale, rest = value % scale;
  if (rest < 0) {
    rest += scale;
    --quotient;
  }
  if (rest * 2 > scale || (rest * 2 == scale && quotient % 2 != 0)) ++quotient;
  return Value::integer(quotient * scale);
}

Value do_round(Runtime&, const FilterArgs& args) {
  const Value& value = args[0];
  const Value precision = value_or(args[1], Value::integer(int64_t{0}));
  const std::string method = args[2].is_missing() ? "common" : to_str(args[2]);
  if (method != "common" && method != "ceil" && method != "floor") {
    raise("FilterArgumentError", "method must be common, ceil or floor");
  }
  if (method == "common") {
    if (!value.is_number()) {
      raise("TypeError", "type ", type_name(value), " doesn't define __round__ method");
    }
    const int64_t digits = to_index(precision);
    return value.is_integral() ? round_int(value.as_int(), digits)
                               : Value::number(round_float(value.as_double(), digits));
  }
  const Value scale = binary(BinaryOp::kPow, Value::integer(int64_t{10}), precision);
  const Value scaled = binary(BinaryOp::kMul, value, scale);
  if (!scaled.is_number()) raise("TypeError", "must be real number, not ", type_name(scaled));
  const double rounded =
      method == "ceil" ? std::ceil(scaled.as_double()) : std::floor(scaled.as_double());
  int64_t whole = 0;
  if (!float_to_int(rounded, whole)) {
    if (std::isnan(rounded)) raise("ValueError", "cannot convert float NaN to integer");
    raise("OverflowError", "cannot convert float infinity to integer");
  }
  return binary(BinaryOp::kDiv, Value::integer(whole), scale);
}

Value do_filesizeformat(Runtime& runtime, const FilterArgs& args) {
  const Value& value = args[0];
  double bytes = 0;
  if (value.is_undefined()) fail_undefined(value);
  if (value.is_number()) {
    bytes = value.as_double();
  } else if (!value.is_string()) {
    raise("TypeError", "float() argument must be a string or a real number, not '",
          type_name(value), "'");
  } else if (!parse_float(value.text(), bytes)) {
    raise("ValueError", "could not convert string to float: ", repr_string(value.text()));
  }
  const bool binary_units = !args[1].is_missing() && truthy(args[1]);
  const double base = binary_units ? 1024 : 1000;
  if (bytes == 1) return Value::string("1 Byte");
  if (bytes < base) {
    return Value::string(to_str(do_int(runtime, {Value::number(bytes), {}, {}})) + " Bytes");
  }
  static constexpr std::string_view kDecimal[] = {"kB", "MB", "GB", "TB", "PB", "EB", "ZB", "YB"};
  static constexpr std::string_view kBinary[] = {"KiB", "MiB", "GiB", "TiB",
                                                 "PiB", "EiB", "ZiB", "YiB"};
  double unit = base;
  size_t i = 0;
  for (; i < 8; ++i) {
    unit *= base;
    if (bytes < unit || i == 7) break;
  }
  char buffer[400];
  std::snprintf(buffer, sizeof buffer, "%.1f ", base * bytes / unit);
  return Value::string(cat(std::string_view(buffer), (binary_units ? kBinary : kDecimal)[i]));
}

Value do_default(Runtime&, const FilterArgs& args) {
  const bool boolean = !args[2].is_missing() && truthy(args[2]);
  const bool absent = args[0].is_undefined() || (boolean && !truthy(args[0]));
  return absent ? value_or(args[1], Value::string("")) : args[0];
}

Value do_tojson(Runtime&, const FilterArgs& args) {
  JsonStyle style;
  style.ensure_ascii = !args[1].is_missing() && truthy(args[1]);
  style.sort_keys = !args[4].is_missing() && truthy(args[4]);
  const Value& indent = args[2];
  style.pretty = !indent.is_missing() && !indent.is_none();
  if (style.pretty) {
    style.indent = indent.is_string() ? indent.text()
                                      : binary(BinaryOp::kMul, Value::string(" "), indent).text();
    style.item_separator = ",";
  }
  const Value& separators = args[3];
  if (!separators.is_missing() && !separators.is_none()) {
    if (!is_iterable(separators)) {
      raise("TypeError", "cannot unpack non-iterable ", type_name(separators), " object");
    }
    const std::vector<Value> both = to_vector(separators);
    if (both.size() > 2) raise("ValueError", "too many values to unpack (expected 2)");
    if (both.size() < 2) {
      raise("ValueError", "not enough values to unpack (expected 2, got ", both.size(), ")");
    }
    style.item_separator = to_str(both[0]);
    style.key_separator = to_str(both[1]);
  }
  return Value::string(to_json(args[0], style));
}

Value do_attr(Runtime&, const FilterArgs& args) {
  if (!args[1].is_string()) {
    raise("TypeError", "attribute name must be string, not '", type_name(args[1]), "'");
  }
  const std::string& name = args[1].text();
  if (args[0].is_undefined()) fail_undefined(args[0]);
  // Without the fallback to object[name].
  const Value found = own_attribute(args[0], name);
  const bool guarded = name.starts_with("_") || found.is_missing();
  if (!guarded) return found;
  const Value value = get_attribute(args[0], name);
  return args[0].is(Kind::kDict) && !value.is_undefined() ? undefined_member(args[0], args[1])
                                                          : value;
}

}  // namespace

const std::vector<FilterEntry>& number_filters() {
  static const std::vector<FilterEntry> filters = {
      {"abs", {}, "abs", do_abs},
      {"attr", {"do_attr", {"obj", "name"}, 2, 1}, {}, do_attr},
      {"d", {"do_default", {"value", "default_value", "boolean"}, 1}, {}, do_default},
      {"default", {"do_default", {"value", "default_value", "boolean"}, 1}, {}, do_default},
      {"filesizeformat", {"do_filesizeformat", {"value", "binary"}, 1}, {}, do_filesizeformat},
      {"float", {"do_float", {"value", "default"}, 1}, {}, do_float},
      {"int", {"do_int", {"value", "default", "base"}, 1}, {}, do_int},
      {"round", {"do_round", {"value", "precision", "method"}, 1}, {}, do_round},
      {"tojson",
       {"_compile_jinja_template.<locals>.tojson",
        {"x", "ensure_ascii", "indent", "separators", "sort_keys"},
        1},
       {},
       do_tojson},
  };
  return filters;
}

}  // namespace zhiyin::jinja
