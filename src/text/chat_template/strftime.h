// datetime.strftime of Python on Linux, in the C locale and without a time zone.
#pragma once

#include <ctime>
#include <string>
#include <string_view>

namespace zhiyin::jinja {

// Throws ValueError for an embedded null character.
std::string format_time(std::string_view format, const std::tm& time);

}  // namespace zhiyin::jinja
