// Iteration, the loop variable, and macros as values.
#pragma once

#include <string>
#include <vector>

#include "text/chat_template/value.h"

namespace zhiyin::jinja {

// iter(value) and next(): lists, tuples, strings, dicts, views, ranges, generators, undefined.
// Throws TypeError for anything else.
class Iterator {
 public:
  Iterator() = default;
  explicit Iterator(Value iterable);
  bool next(Value& item);

 private:
  Value source_;
  size_t at_ = 0;
};

bool is_iterable(const Value& value);
// len(value), or -1 where Python has none.
int64_t length_or_none(const Value& value);
// len(value) with Python's TypeError.
int64_t length_of(const Value& value);
// list(value).
std::vector<Value> to_vector(const Value& iterable);

struct Frame;
struct ForNode;
struct MacroNode;

// The variable `loop` (jinja2.runtime.LoopContext).
struct Loop : Object {
  Value iterable;
  Iterator iterator;
  int64_t index0 = -1;
  int64_t depth0 = 0;
  int64_t length = -1;                 // not known yet
  Value after, current, before;        // missing where there is none
  Value changed;                       // arguments of the last loop.changed()
  const ForNode* recursive = nullptr;  // set for a loop marked recursive, with the frame
  Frame* closure = nullptr;            // it closes over

  bool next(Value& item);
  const Value& peek();  // the next item or missing
  int64_t count();      // consumes a generator, as Python does
};

int64_t loop_length(const Value& loop);
std::string loop_repr(const Value& loop);

struct Macro : Object {
  std::string name;  // empty: a call block
  const MacroNode* definition = nullptr;
  Frame* closure = nullptr;
};

const std::string& macro_name(const Value& macro);

}  // namespace zhiyin::jinja
