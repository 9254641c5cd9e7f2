// Names of formats and mixes are matched without regard to case.
#pragma once

#include <algorithm>
#include <string_view>

namespace zhiyin {

inline bool same_name(std::string_view a, std::string_view b) {
  const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; };
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [&](char x, char y) { return lower(x) == lower(y); });
}

}  // namespace zhiyin
