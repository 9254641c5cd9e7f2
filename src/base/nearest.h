// The candidate that a mistyped name most likely meant.
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace zhiyin {

// Edits (insert, remove, replace a byte) from a to b (Levenshtein 1966).
size_t edit_distance(std::string_view a, std::string_view b);

// The candidate with the fewest edits, the first of several; empty for no candidates.
std::string nearest(std::string_view name, std::span<const std::string> candidates);

}  // namespace zhiyin
