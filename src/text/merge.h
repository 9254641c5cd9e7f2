// Byte-pair merging: joins neighbouring symbols, best priority first and leftmost among equals,
// until no pair of neighbours joins.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <limits>
#include <vector>

#include "text/word_model.h"

namespace zhiyin {

// What two symbols make; the lowest priority is joined first.
struct Merge {
  static constexpr uint32_t kNever = std::numeric_limits<uint32_t>::max();
  uint32_t priority = kNever;
  int32_t id = kNoToken;
};

// For words of usual length: a scan for the best pair, then closing the gap. No allocation.
inline constexpr size_t kShortWord = 40;

template <typename Find>  // Merge find(const Symbol& left, const Symbol& right)
size_t merge_short_word(Symbol* symbols, size_t count, Find find) {
  uint32_t priorities[kShortWord];
  int32_t ids[kShortWord];
  const auto look_up = [&](size_t left) {
    const Merge merge = find(symbols[left], symbols[left + 1]);
    priorities[left] = merge.priority;
    ids[left] = merge.id;
  };
  for (size_t i = 0; i + 1 < count; ++i) look_up(i);
  while (count > 1) {
    size_t best = 0;
    for (size_t i = 1; i + 1 < count; ++i) {
      if (priorities[i] < priorities[best]) best = i;
    }
    if (priorities[best] == Merge::kNever) break;
    symbols[best] = {ids[best], symbols[best].begin, symbols[best].size + symbols[best + 1].size};
    for (size_t i = best + 1; i + 1 < count; ++i) {
      symbols[i] = symbols[i + 1];
      priorities[i] = priorities[i + 1];
      ids[i] = ids[i + 1];
    }
    --count;
    if (best > 0) look_up(best - 1);
    if (best + 1 < count) look_up(best);
  }
  return count;
}

// For words of any length, in O(n log n): a heap of pairs over a linked list.
template <typename Find>
size_t merge_long_word(WordScratch& scratch, Find find) {
  using Candidate = WordScratch::Candidate;
  std::vector<Symbol>& symbols = scratch.symbols;
  const auto count = static_cast<uint32_t>(symbols.size());
  scratch.next.resize(count);
  scratch.previous.resize(count);
  scratch.priorities.assign(count, Merge::kNever);  // of the pair that begins here
  scratch.merged.resize(count);
  scratch.heap.clear();
  const auto worse = [](const Candidate& a, const Candidate& b) {
    return a.priority != b.priority ? a.priority > b.priority : a.left > b.left;
  };
  const auto look_up = [&](uint32_t left) {
    const Merge merge = find(symbols[left], symbols[scratch.next[left]]);
    scratch.priorities[left] = merge.priority;
    scratch.merged[left] = merge.id;
    return merge.priority != Merge::kNever;
  };
  for (uint32_t i = 0; i < count; ++i) {
    scratch.next[i] = i + 1;
    scratch.previous[i] = i - 1;  // of the first one: never used
  }
  for (uint32_t i = 0; i + 1 < count; ++i) {
    if (look_up(i)) scratch.heap.push_back({scratch.priorities[i], i});
  }
  std::make_heap(scratch.heap.begin(), scratch.heap.end(), worse);
  const auto push = [&](uint32_t left) {
    if (!look_up(left)) return;
    scratch.heap.push_back({scratch.priorities[left], left});
    std::push_heap(scratch.heap.begin(), scratch.heap.end(), worse);
  };
  while (!scratch.heap.empty()) {
    std::pop_heap(scratch.heap.begin(), scratch.heap.end(), worse);
    const Candidate best = scratch.heap.back();
    scratch.heap.pop_back();
    if (scratch.priorities[best.left] != best.priority) continue;  // the pair is no more
    const uint32_t right = scratch.next[best.left];
    symbols[best.left].id = scratch.merged[best.left];
    symbols[best.left].size += symbols[right].size;
    symbols[right].size = 0;
    scratch.priorities[right] = Merge::kNever;
    scratch.priorities[best.left] = Merge::kNever;
    const uint32_t after = scratch.next[right];
    scratch.next[best.left] = after;
    if (after < count) {
      scratch.previous[after] = best.left;
      push(best.left);
    }
    if (best.left > 0) push(scratch.previous[best.left]);
  }
  size_t kept = 0;
  for (uint32_t i = 0; i < count; i = scratch.next[i]) symbols[kept++] = symbols[i];
  return kept;
}

// Joins what scratch.symbols holds.
template <typename Find>
void merge_word(WordScratch& scratch, Find find) {
  const size_t count = scratch.symbols.size();
  scratch.symbols.resize(count <= kShortWord ? merge_short_word(scratch.symbols.data(), count, find)
                                             : merge_long_word(scratch, find));
}

}  // namespace zhiyin
