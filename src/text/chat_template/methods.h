// The methods of Python's types that a template can call.
#pragma once

#include "text/chat_template/value.h"

namespace zhiyin::jinja {

// object.name as a callable; missing if there is no such method.
Value find_method(const Value& object, std::string_view name);

Value call_function(Runtime& runtime, const Function& function, CallArgs args);

// value as an index, as Python's __index__ with its TypeError.
int64_t to_index(const Value& value);

}  // namespace zhiyin::jinja
