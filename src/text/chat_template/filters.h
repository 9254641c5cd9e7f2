// The filters of jinja2, with tojson as transformers overrides it.
#pragma once

#include <string_view>

#include "text/chat_template/value.h"

namespace zhiyin::jinja {

// nullptr for an unknown name.
const FilterEntry* find_filter(std::string_view name);
// args.positional[0] is what the filter is applied to.
Value apply_filter(Runtime& runtime, const FilterEntry& filter, CallArgs args);

}  // namespace zhiyin::jinja
