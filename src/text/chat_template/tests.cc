#include "text/chat_template/tests.h"

#include <unordered_map>

#include "text/chat_template/call_args.h"
#include "text/chat_template/filters.h"
#include "text/chat_template/objects.h"
#include "text/chat_template/operators.h"
#include "text/chat_template/py_text.h"

namespace zhiyin::jinja {

struct TestEntry {
  std::string_view name;
  Signature signature;
  bool (*apply)(const std::vector<Value>& args) = nullptr;
};

namespace {

using Args = std::vector<Value>;

template <int64_t rest>
bool is_odd_or_even(const Args& args) {
  const Value two = Value::integer(int64_t{2});
  return equal(binary(BinaryOp::kMod, args[0], two), Value::integer(rest));
}

bool is_divisible(const Args& args) {
  return equal(binary(BinaryOp::kMod, args[0], args[1]), Value::integer(int64_t{0}));
}

bool is_sequence(const Args& args) {
  switch (args[0].kind()) {
    case Kind::kString:
    case Kind::kList:
    case Kind::kTuple:
    case Kind::kDict:
    case Kind::kRange:
    case Kind::kUndefined:  // it has __len__, and a __getitem__ that raises
      return true;
    default:
      return false;
  }
}

bool is_callable(const Args& args) {
  switch (args[0].kind()) {
    case Kind::kFunction:
    case Kind::kMacro:
    case Kind::kLoop:
    case Kind::kJoiner:
    case Kind::kUndefined:  // calling it is an error, but there is a __call__
      return true;
    default:
      return false;
  }
}

template <CompareOp op>
bool compares(const Args& args) {
  return compare(op, args[0], args[1]);
}

// name in table; a name that is no string is in no table, if it can be a key at all.
template <typename Find>
bool known_name(const Value& name, const Find& find) {
  hash_value(name);
  return name.is_string() && find(name.text()) != nullptr;
}

bool is_lower_text(const Args& args) { return is_lower(to_str(args[0])); }
bool is_upper_text(const Args& args) { return is_upper(to_str(args[0])); }

const std::vector<TestEntry>& all_tests() {
  using enum CompareOp;
  static const auto kOne = [](std::string_view name) { return Signature{name, {"value"}, 1, 0}; };
  static const auto kTwo = [](std::string_view name, std::string_view second) {
    return Signature{name, {"value", second}, 2, 0};
  };
  static const std::vector<TestEntry> tests = {
      {"odd", kOne("test_odd"), is_odd_or_even<1>},
      {"even", kOne("test_even"), is_odd_or_even<0>},
      {"divisibleby", kTwo("test_divisibleby", "num"), is_divisible},
      {"defined", kOne("test_defined"), [](const Args& a) { return !a[0].is_undefined(); }},
      {"undefined", kOne("test_undefined"), [](const Args& a) { return a[0].is_undefined(); }},
      {"filter", Signature{"test_filter", {"value"}, 1, 1},
       [](const Args& a) { return known_name(a[0], find_filter); }},
      {"test", Signature{"test_test", {"value"}, 1, 1},
       [](const Args& a) { return known_name(a[0], find_test); }},
      {"none", kOne("test_none"), [](const Args& a) { return a[0].is_none(); }},
      {"boolean", kOne("test_boolean"), [](const Args& a) { return a[0].is(Kind::kBool); }},
      {"false", kOne("test_false"),
       [](const Args& a) { return a[0].is(Kind::kBool) && !a[0].as_bool(); }},
      {"true", kOne("test_true"),
       [](const Args& a) { return a[0].is(Kind::kBool) && a[0].as_bool(); }},
      {"integer", kOne("test_integer"), [](const Args& a) { return a[0].is(Kind::kInt); }},
      {"float", kOne("test_float"), [](const Args& a) { return a[0].is(Kind::kFloat); }},
      {"lower", kOne("test_lower"), is_lower_text},
      {"upper", kOne("test_upper"), is_upper_text},
      {"string", kOne("test_string"), [](const Args& a) { return a[0].is_string(); }},
      {"mapping", kOne("test_mapping"), [](const Args& a) { return a[0].is(Kind::kDict); }},
      {"number", kOne("test_number"), [](const Args& a) { return a[0].is_number(); }},
      {"sequence", kOne("test_sequence"), is_sequence},
      {"iterable", kOne("test_iterable"),
       [](const Args& a) { return is_iterable(a[0]) || a[0].is(Kind::kLoop); }},
      {"callable", kOne("callable"), is_callable},
      {"sameas", kTwo("test_sameas", "other"), [](const Args& a) { return identical(a[0], a[1]); }},
      {"escaped", kOne("test_escaped"), [](const Args& a) { return a[0].is_markup(); }},
      {"in", kTwo("test_in", "seq"), [](const Args& a) { return contains(a[1], a[0]); }},
      {"==", kTwo("eq", "b"), compares<kEq>},
      {"eq", kTwo("eq", "b"), compares<kEq>},
      {"equalto", kTwo("eq", "b"), compares<kEq>},
      {"!=", kTwo("ne", "b"), compares<kNe>},
      {"ne", kTwo("ne", "b"), compares<kNe>},
      {">", kTwo("gt", "b"), compares<kGt>},
      {"gt", kTwo("gt", "b"), compares<kGt>},
      {"greaterthan", kTwo("gt", "b"), compares<kGt>},
      {">=", kTwo("ge", "b"), compares<kGe>},
      {"ge", kTwo("ge", "b"), compares<kGe>},
      {"<", kTwo("lt", "b"), compares<kLt>},
      {"lt", kTwo("lt", "b"), compares<kLt>},
      {"lessthan", kTwo("lt", "b"), compares<kLt>},
      {"<=", kTwo("le", "b"), compares<kLe>},
      {"le", kTwo("le", "b"), compares<kLe>},
  };
  return tests;
}

// Python's operator functions and callable() are C functions and complain in their own words.
bool is_c_function(std::string_view name) { return !name.starts_with("test_"); }

}  // namespace

const TestEntry* find_test(std::string_view name) {
  static const auto table = [] {
    std::unordered_map<std::string_view, const TestEntry*> by_name;
    for (const TestEntry& test : all_tests()) by_name.emplace(test.name, &test);
    return by_name;
  }();
  const auto found = table.find(name);
  return found == table.end() ? nullptr : found->second;
}

bool apply_test(const TestEntry& test, CallArgs args) {
  const Signature& signature = test.signature;
  if (is_c_function(signature.name)) {
    const bool one = signature.required == 1;
    return test.apply(bind_builtin({signature.name, one ? Arity::kFixed : Arity::kUnpack,
                                    signature.required, signature.required},
                                   std::move(args)));
  }
  // The usual call has exactly the arguments wanted.
  if (args.named.empty() && args.positional.size() == signature.parameters.size()) {
    return test.apply(args.positional);
  }
  return test.apply(bind(signature, std::move(args)));
}

}  // namespace zhiyin::jinja
