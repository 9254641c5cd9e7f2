// The tests of jinja2: x is name(arguments).
#pragma once

#include <string_view>

#include "text/chat_template/value.h"

namespace zhiyin::jinja {

// nullptr for an unknown name.
const TestEntry* find_test(std::string_view name);
// args.positional[0] is what the test is applied to.
bool apply_test(const TestEntry& test, CallArgs args);

}  // namespace zhiyin::jinja
