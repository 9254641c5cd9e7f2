// Remembers the ids of short words. Direct-mapped, of fixed size, 32 bytes a word: text repeats its
// words so often that most of a tokenizer's time is spent here.
#pragma once

#include <array>
#include <cstdint>
#include <cstring>
#include <string_view>
#include <vector>

#include "text/string_table.h"

namespace zhiyin {

class WordCache {
 public:
  static constexpr size_t kMaxBytes = 15;
  static constexpr size_t kMaxIds = 3;

  // A word and where it belongs. `text` is where the word lies; its bytes beyond the word may be
  // read, but not past its end.
  struct Key {
    uint64_t low = 0, high = 0;  // the word, zero-padded; its length in the last byte
    uint32_t slot = 0;
  };
  static Key key_of(std::string_view text, size_t begin, size_t size) {
    uint64_t parts[2] = {0, 0};
    if (begin + 16 <= text.size()) {  // two plain loads, then cut to length
      std::memcpy(parts, text.data() + begin, 16);
      if (size < 8) {
        parts[0] &= (uint64_t{1} << (8 * size)) - 1;
        parts[1] = 0;
      } else {
        parts[1] &= (uint64_t{1} << (8 * (size - 8))) - 1;
      }
    } else {
      std::memcpy(parts, text.data() + begin, size);
    }
    parts[1] |= uint64_t{size} << 56;
    const uint64_t hash =
        internal::fold_multiply(internal::fold_multiply(parts[0] ^ 0xE7037ED1A0B428DBu) ^ parts[1]);
    return {parts[0], parts[1], static_cast<uint32_t>(hash >> (64 - kSlotBits))};
  }

  // Appends the ids and returns true where the word is known.
  bool find(const Key& key, std::vector<int32_t>& out) const {
    if (slots_.empty()) return false;
    const Slot& slot = slots_[key.slot];
    if (slot.low != key.low || slot.high != key.high) return false;
    for (uint32_t i = 0; i < slot.count; ++i) out.push_back(slot.ids[i]);
    return true;
  }

  void put(const Key& key, const int32_t* ids, size_t count) {
    if (count > kMaxIds) return;
    if (slots_.empty()) slots_.resize(size_t{1} << kSlotBits);
    Slot& slot = slots_[key.slot];
    slot = {key.low, key.high, static_cast<uint32_t>(count), {}};
    for (size_t i = 0; i < count; ++i) slot.ids[i] = ids[i];
  }

 private:
  static constexpr int kSlotBits = 15;  // 1 MB
  struct Slot {
    uint64_t low = 0, high = 0;  // an empty slot has length 0, which no word has
    uint32_t count = 0;
    std::array<int32_t, kMaxIds> ids{};
  };
  std::vector<Slot> slots_;
};

}  // namespace zhiyin
