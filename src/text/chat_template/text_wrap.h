// textwrap.wrap of Python, as the wordwrap filter calls it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace zhiyin::jinja {

struct WrapStyle {
  int64_t width = 79;  // code points
  bool break_long_words = true;
  bool break_on_hyphens = true;
};

// Throws ValueError for a width below 1.
std::vector<std::string> wrap_text(std::string_view text, const WrapStyle& style);

}  // namespace zhiyin::jinja
