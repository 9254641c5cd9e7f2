#include "text/charsmap.h"

#include <algorithm>
#include <cstring>

#include "base/error.h"
#include "base/utf8.h"

namespace zhiyin {
namespace {

// A unit packs an offset to its children, a label, and whether a value hangs below it.
uint32_t offset_of(uint32_t unit) { return (unit >> 10) << ((unit & (1u << 9)) >> 6); }
uint32_t label_of(uint32_t unit) { return unit & ((1u << 31) | 0xFF); }
bool has_value(uint32_t unit) { return ((unit >> 8) & 1) != 0; }
uint32_t value_of(uint32_t unit) { return unit & ((1u << 31) - 1); }

}  // namespace

Charsmap::Charsmap(std::string_view blob) {
  uint32_t trie_bytes = 0;
  check(blob.size() >= sizeof trie_bytes, ErrorCode::kFailed, "precompiled_charsmap: ", blob.size(),
        " bytes hold no size of the trie");
  std::memcpy(&trie_bytes, blob.data(), sizeof trie_bytes);
  blob.remove_prefix(sizeof trie_bytes);
  check(trie_bytes >= 4 && trie_bytes % 4 == 0 && trie_bytes <= blob.size(), ErrorCode::kFailed,
        "precompiled_charsmap: a trie of ", trie_bytes, " bytes in ", blob.size());
  units_.resize(trie_bytes / 4);
  std::memcpy(units_.data(), blob.data(), trie_bytes);
  replacements_ = blob.substr(trie_bytes);
  check(replacements_.empty() || replacements_.back() == '\0', ErrorCode::kFailed,
        "precompiled_charsmap: the last replacement does not end");
}

Charsmap::Match Charsmap::longest(std::string_view text) const {
  Match match;
  size_t node = offset_of(units_[0]);
  for (size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    if (byte == 0) break;
    node ^= byte;
    if (node >= units_.size() || label_of(units_[node]) != byte) break;
    const uint32_t unit = units_[node];
    node ^= offset_of(unit);
    if (!has_value(unit)) continue;
    if (node >= units_.size() || value_of(units_[node]) >= replacements_.size()) break;
    match = {i + 1, std::string_view(replacements_.data() + value_of(units_[node]))};
  }
  return match;
}

std::string Charsmap::apply(std::string_view text) const {
  std::string out;
  out.reserve(text.size());
  while (!text.empty()) {
    Match match = longest(text);
    if (match.length == 0) {
      match.length = static_cast<size_t>(decode_utf8(text, 0).length);
      match.replacement = text.substr(0, match.length);
    }
    out += match.replacement;
    text.remove_prefix(match.length);
  }
  return out;
}

}  // namespace zhiyin
