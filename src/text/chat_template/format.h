// Python's three ways to format: "%s" % x, "{}".format(x) and format(x, spec).
#pragma once

#include <string>
#include <string_view>

#include "text/chat_template/value.h"

namespace zhiyin::jinja {

// format is a string; what fills a Markup format gets escaped.
std::string percent_format(const Value& format, const Value& arguments);
// Keyword arguments are a dict, so that format_map can use it too.
std::string brace_format(const Value& format, const std::vector<Value>& positional,
                         const Dict& named);
// format(value, spec).
std::string format_value(const Value& value, std::string_view spec);

// repr(value) with everything beyond ASCII escaped, as ascii().
std::string ascii_repr(const Value& value);

}  // namespace zhiyin::jinja
