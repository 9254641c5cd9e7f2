// Prompt look-up (Saxena 2023): where the last tokens of a text stood before, what followed them
// there is likely to follow again. Texts that quote, edit or translate with quotes do so for long.
//
// Every pair of tokens leads to its last place, and each place to the one before with the same pair
// (the hash chains of LZ77), so a step costs a few comparisons however long the text.
#pragma once

#include <cstddef>
#include <cstdint>
#include <unordered_map>
#include <vector>

namespace zhiyin {

class PromptLookup {
 public:
  void reset();
  void add(int32_t id);

  const std::vector<int32_t>& text() const { return text_; }
  // How many of the last tokens stood at the place found, up to a limit; 0: no place was found, 2
  // is the least that counts.
  int64_t match() const { return match_; }
  // What followed there: `count` tokens, going round where the place overlaps the end of the text.
  // Only where match() > 0.
  std::vector<int32_t> continuation(int64_t count) const;

 private:
  void search();

  std::vector<int32_t> text_;
  std::unordered_map<uint64_t, int64_t> latest_;  // pair of tokens -> place of the second
  std::vector<int64_t> previous_;  // of each place: the last with the same pair, or -1
  int64_t next_ = 0;               // place of the token that is expected
  int64_t match_ = 0;
};

}  // namespace zhiyin
