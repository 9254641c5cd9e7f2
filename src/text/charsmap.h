// SentencePiece's precompiled character map: a double-array trie of prefixes, and their
// replacements. Layout: u32 bytes of the trie; its units, u32 each; replacements, each ended by a
// zero byte. The trie is Darts-clone's.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace zhiyin {

class Charsmap {
 public:
  // Throws kFailed where the blob cannot be a character map.
  explicit Charsmap(std::string_view blob);

  // Replaces at each position the longest prefix that the map knows.
  std::string apply(std::string_view text) const;

 private:
  struct Match {
    size_t length = 0;  // of the prefix; 0: none
    std::string_view replacement;
  };
  Match longest(std::string_view text) const;

  std::vector<uint32_t> units_;
  std::string replacements_;
};

}  // namespace zhiyin
