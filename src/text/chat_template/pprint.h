// pprint.pformat of Python for the values a template has: one line if it fits in 80 columns,
// otherwise one item a line; dicts sorted by key.
#pragma once

#include <string>

#include "text/chat_template/value.h"

namespace zhiyin::jinja {

// Long strings stay whole, where Python cuts them at blanks.
std::string pretty(const Value& value);

}  // namespace zhiyin::jinja
