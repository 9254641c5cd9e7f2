// How a filter is declared, and the tables by subject that filters.cc puts together.
#pragma once

#include <string_view>
#include <vector>

#include "text/chat_template/call_args.h"
#include "text/chat_template/runtime.h"
#include "text/chat_template/value.h"

namespace zhiyin::jinja {

using FilterArgs = std::vector<Value>;  // bound to the signature, missing where not given

struct FilterEntry {
  std::string_view name;
  Signature signature = {};       // of jinja2's Python function
  std::string_view builtin = {};  // or the name of a C function with one argument
  Value (*apply)(Runtime& runtime, const FilterArgs& args) = nullptr;
  Value (*variadic)(Runtime& runtime, CallArgs args) = nullptr;  // takes the call as it is
};

const std::vector<FilterEntry>& text_filters();
const std::vector<FilterEntry>& sequence_filters();
const std::vector<FilterEntry>& number_filters();

}  // namespace zhiyin::jinja
