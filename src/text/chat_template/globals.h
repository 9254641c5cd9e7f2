// The global functions: those of jinja2, raise_exception and strftime_now.
#pragma once

#include <string_view>

#include "text/chat_template/value.h"

namespace zhiyin::jinja {

// Missing for an unknown name.
Value find_global(std::string_view name);

}  // namespace zhiyin::jinja
