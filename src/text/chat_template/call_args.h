// Binding call arguments to parameters with Python's messages.
#pragma once

#include <initializer_list>
#include <string_view>
#include <vector>

#include "text/chat_template/value.h"

namespace zhiyin::jinja {

// A Python function: def name(required..., optional...). Arguments that the template cannot see,
// such as the environment of a filter, count in the messages.
struct Signature {
  std::string_view name;
  std::vector<std::string_view> parameters;
  size_t required = 0;
  size_t hidden = 0;
};

// One value a parameter, missing where an optional one was not given.
std::vector<Value> bind(const Signature& signature, CallArgs args);

// The argument, or the default where it is missing.
inline Value value_or(const Value& argument, Value fallback) {
  return argument.is_missing() ? std::move(fallback) : argument;
}

// How CPython's C functions complain about the number of arguments.
enum class Arity : uint8_t {
  kFixed,   // "str.upper() takes no arguments (1 given)"
  kUnpack,  // "strip expected at most 1 argument, got 2"
  kParse,   // "split() takes at most 2 arguments (3 given)"
};

struct BuiltinSignature {
  std::string_view qualified_name;  // str.strip
  Arity arity = Arity::kFixed;
  size_t least = 0, most = 0;
  std::vector<std::string_view> keywords = {};  // empty: positional only
};

// One value a parameter, missing where an optional one was not given.
std::vector<Value> bind_builtin(const BuiltinSignature& signature, CallArgs args);

}  // namespace zhiyin::jinja
