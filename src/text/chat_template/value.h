// Values of the template language: Python's types as far as a template can meet them. A Value is
// 16 bytes; what does not fit is a reference-counted Object, immutable except for the few that
// Python lets a sandboxed template change (namespaces, iterators, cyclers, joiners).
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/cat.h"
#include "text/chat_template/template_error.h"

namespace zhiyin::jinja {

class Runtime;
class Value;
struct CallArgs;
struct Method;
struct FilterEntry;
struct TestEntry;

// Lists, reprs, JSON and comparisons nest no deeper than this: RecursionError, as in Python.
inline constexpr int kMaxNesting = 500;

// Throws the Python exception of this class; the interpreter adds the place.
template <typename... Parts>
[[noreturn]] void raise(std::string_view kind, const Parts&... parts) {
  throw TemplateError(kind, cat(parts...));
}

enum class Kind : uint8_t {
  kMissing,  // a variable not set yet; no operator ever sees one
  kNone,
  kBool,
  kInt,
  kFloat,
  kUndefined,  // from here on: objects
  kString,
  kList,
  kTuple,
  kDict,
  kNamespace,
  kRange,
  kView,
  kGenerator,
  kLoop,
  kMacro,
  kFunction,
  kCycler,
  kJoiner,
};

struct Object {
  // Constants of a template are shared by concurrent renders, so nobody counts them.
  static constexpr uint32_t kImmortal = UINT32_MAX;
  uint32_t references = 0;
  Object();  // counts against the budget of the render
  virtual ~Object() = default;
};

// Deletes without recursion, however deep the object nests.
void destroy(Object* object) noexcept;

class Value {
 public:
  Value() = default;
  Value(const Value& other) : kind_(other.kind_), bits_(other.bits_) { retain(); }
  Value(Value&& other) noexcept : kind_(other.kind_), bits_(other.bits_) {
    other.kind_ = Kind::kMissing;
  }
  Value& operator=(Value other) noexcept {
    std::swap(kind_, other.kind_);
    std::swap(bits_, other.bits_);
    return *this;
  }
  ~Value() { release(); }

  static Value none() { return Value(Kind::kNone); }
  static Value boolean(bool value);
  static Value integer(int64_t value);
  static Value integer(size_t value) { return integer(static_cast<int64_t>(value)); }
  static Value number(double value);
  static Value string(std::string text, bool markup = false);
  static Value list(std::vector<Value> items);
  static Value tuple(std::vector<Value> items);
  // Takes a share of the object.
  static Value object(Kind kind, Object* object);

  Kind kind() const { return kind_; }
  bool is(Kind kind) const { return kind_ == kind; }
  bool is_missing() const { return kind_ == Kind::kMissing; }
  bool is_undefined() const { return kind_ == Kind::kUndefined; }
  bool is_none() const { return kind_ == Kind::kNone; }
  bool is_string() const { return kind_ == Kind::kString; }
  bool is_markup() const;
  // int or bool, as isinstance(value, int).
  bool is_integral() const { return kind_ == Kind::kInt || kind_ == Kind::kBool; }
  bool is_number() const { return is_integral() || kind_ == Kind::kFloat; }
  bool is_sequence() const { return kind_ == Kind::kList || kind_ == Kind::kTuple; }

  bool as_bool() const { return bits_.boolean; }
  int64_t as_int() const { return kind_ == Kind::kBool ? bits_.boolean : bits_.integer; }
  double as_double() const {
    return kind_ == Kind::kFloat ? bits_.number : static_cast<double>(as_int());
  }
  const std::string& text() const;                  // kString
  const std::vector<Value>& items() const;          // kList, kTuple
  Object* address() const { return bits_.object; }  // objects
  template <typename T>
  T& as() const {
    return static_cast<T&>(*bits_.object);
  }

 private:
  explicit Value(Kind kind) : kind_(kind) {}
  bool on_heap() const { return kind_ >= Kind::kUndefined; }
  void retain() const {
    if (on_heap() && bits_.object->references != Object::kImmortal) ++bits_.object->references;
  }
  void release() {
    if (on_heap() && bits_.object->references != Object::kImmortal &&
        --bits_.object->references == 0) {
      destroy(bits_.object);
    }
  }

  Kind kind_ = Kind::kMissing;
  union Bits {
    bool boolean;
    int64_t integer;
    double number;
    Object* object;
  } bits_ = {};
};

struct Str : Object {
  std::string text;     // UTF-8
  bool markup = false;  // markupsafe.Markup: what is added to it gets escaped
  int64_t length = -1;  // code points, counted on first use
};

struct Sequence : Object {
  std::vector<Value> items;
  bool group = false;  // a tuple of the groupby filter, with the attributes grouper and list
};

// Insertion-ordered, as Python's dict.
class Dict : public Object {
 public:
  using Item = std::pair<Value, Value>;
  const std::vector<Item>& items() const { return items_; }
  size_t size() const { return items_.size(); }
  // nullptr when absent. Throws TypeError for a key that cannot be hashed.
  const Value* find(const Value& key) const;
  const Value* find(std::string_view key) const;
  void set(Value key, Value value);
  void set(std::string_view key, Value value) { set(Value::string(std::string(key)), value); }
  void reserve(size_t count) { items_.reserve(count); }
  void clear();

 private:
  template <typename Equal>
  const Item* lookup(uint64_t hash, const Equal& equal) const;
  void rebuild_index();

  std::vector<Item> items_;
  std::vector<uint64_t> hashes_;  // of the keys, parallel to items_
  std::vector<uint32_t> index_;   // open addressing: item number + 1; only for more than 8 items
};

// Why a value is not there; the message is made when somebody uses it.
struct Undefined : Object {
  std::string hint;             // the whole message, or
  std::string_view owner = {};  // object_type_repr of what lacks it, empty for a variable
  Value name;                   // a string, or the key of a failed subscript
  bool insecure = false;        // raises SecurityError instead of UndefinedError
};

struct Namespace : Object {
  Dict attributes;
};

struct Range : Object {
  int64_t start = 0, stop = 0, step = 1, length = 0;
};

struct View : Object {  // dict.keys(), .values(), .items()
  enum class What : uint8_t { kKeys, kValues, kItems } what = What::kKeys;
  Value dict;
};

// Anything lazy that can be walked once.
struct Generator : Object {
  std::string_view type_repr = "generator object";
  std::function<bool(Value&)> pull;  // false at the end
};

// What object.method and the global functions are. A method gets the object as self.
struct Function : Object {
  using Body = Value (*)(Runtime&, const Value& self, CallArgs& args);
  std::string_view name;
  std::string_view type_name;  // builtin_function_or_method, function, method or type
  Value self;
  Body body = nullptr;             // takes the call as it is, or
  const Method* method = nullptr;  // takes arguments bound by its signature (methods.cc)
};

struct Cycler : Object {
  std::vector<Value> items;
  size_t at = 0;
};

struct Joiner : Object {
  Value separator;
  bool used = false;
};

struct CallArgs {
  std::vector<Value> positional;
  std::vector<std::pair<std::string, Value>> named;
};

Value make_undefined(std::string hint);                            // message given
Value undefined_variable(std::string_view name);                   // 'x' is undefined
Value undefined_member(const Value& owner, const Value& name);     // has no attribute / element
Value insecure_member(const Value& owner, std::string_view name);  // SecurityError when used
Value make_range(int64_t start, int64_t stop, int64_t step);
Value make_view(Value dict, View::What what);
Value make_generator(std::function<bool(Value&)> pull,
                     std::string_view type_repr = "generator object");
Value make_function(std::string_view name, std::string_view type_name, Function::Body body,
                    Value self = Value::none());
// Throws the UndefinedError (or SecurityError) that using this value raises.
[[noreturn]] void fail_undefined(const Value& undefined);

std::string_view type_name(const Value& value);         // type(value).__name__
std::string_view object_type_repr(const Value& value);  // as in "'dict object' has no attribute"
bool truthy(const Value& value);                        // bool(value)
bool equal(const Value& a, const Value& b, int depth = 0);
bool identical(const Value& a, const Value& b);  // a is b
// The ordering operators: numbers, strings, and lists or tuples item by item.
enum class Order : uint8_t { kLess, kLessEqual, kGreater, kGreaterEqual };
bool ordered(Order order, const Value& a, const Value& b, int depth = 0);
inline bool less(const Value& a, const Value& b) { return ordered(Order::kLess, a, b); }
uint64_t hash_value(const Value& value, int depth = 0);

int64_t length_in_code_points(const Value& string);
void append_repr(std::string& out, const Value& value, int depth = 0);  // repr(value)
void append_str(std::string& out, const Value& value);                  // str(value)
std::string to_str(const Value& value);

}  // namespace zhiyin::jinja
