// Flat storage for vocabularies: a hundred thousand short strings in one buffer, and a hash from
// their bytes to their index. Two allocations instead of one a string is what makes loading fast.
#pragma once

#include <cstdint>
#include <cstring>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace zhiyin {

namespace internal {
inline uint64_t load_bytes(const char* from, size_t count) {  // count <= 8, zero-extended
  uint64_t value = 0;
  std::memcpy(&value, from, count);
  return value;
}
inline uint64_t fold_multiply(uint64_t value) {
  const auto product = static_cast<unsigned __int128>(value) * 0x9E3779B97F4A7C15u;
  return static_cast<uint64_t>(product) ^ static_cast<uint64_t>(product >> 64);
}
}  // namespace internal

// A fast, well-mixed hash for short strings. Not stable across versions, not for untrusted peers.
inline uint64_t hash_bytes(std::string_view text) {
  const char* at = text.data();
  size_t left = text.size();
  uint64_t hash = left + 1;
  for (; left > 8; left -= 8, at += 8) {
    hash = internal::fold_multiply(hash ^ internal::load_bytes(at, 8));
  }
  return internal::fold_multiply(hash * 0xD6E8FEB86659FD93u ^ internal::load_bytes(at, left));
}

// Strings by index, appended once and never changed.
class StringTable {
 public:
  void reserve(size_t strings, size_t bytes) {
    ends_.reserve(strings + 1);
    bytes_.reserve(bytes);
  }
  void add(std::string_view text) { add(text, {}); }
  // Appends left and right joined.
  void add(std::string_view left, std::string_view right) {
    check(left.size() + right.size() <= std::numeric_limits<uint32_t>::max() - bytes_.size(),
          ErrorCode::kFailed, "vocabulary: more than 4 GB of text");
    bytes_ += left;
    bytes_ += right;
    ends_.push_back(static_cast<uint32_t>(bytes_.size()));
  }

  size_t size() const { return ends_.size() - 1; }
  bool empty() const { return size() == 0; }
  size_t bytes() const { return bytes_.size(); }
  std::string_view operator[](size_t index) const {
    return std::string_view(bytes_).substr(ends_[index], ends_[index + 1] - ends_[index]);
  }

 private:
  std::string bytes_;
  std::vector<uint32_t> ends_ = {0};  // string i is [ends_[i], ends_[i + 1])
};

// From the bytes of a string to its index in a StringTable that must outlive the hash and may not
// change. Open addressing; where strings are equal the first one put in is found.
class StringIndex {
 public:
  static constexpr int32_t kNone = -1;

  StringIndex(const StringTable& table, size_t expected) : table_(&table) {
    size_t capacity = 16;
    while (capacity * 3 < expected * 5) capacity *= 2;  // at most 60 % full
    slots_.resize(capacity);
  }

  void insert(int32_t index) {
    const std::string_view text = (*table_)[static_cast<size_t>(index)];
    const uint64_t hash = hash_bytes(text);
    for (size_t at = hash & mask();; at = (at + 1) & mask()) {
      if (slots_[at].index == kNone) {
        slots_[at] = {tag(hash), index};
        return;
      }
      if (matches(slots_[at], hash, text)) return;
    }
  }

  // The index, or kNone.
  int32_t find(std::string_view text) const {
    const uint64_t hash = hash_bytes(text);
    for (size_t at = hash & mask(); slots_[at].index != kNone; at = (at + 1) & mask()) {
      if (matches(slots_[at], hash, text)) return slots_[at].index;
    }
    return kNone;
  }

 private:
  struct Slot {
    uint32_t tag = 0;
    int32_t index = kNone;
  };
  static uint32_t tag(uint64_t hash) { return static_cast<uint32_t>(hash >> 32); }
  size_t mask() const { return slots_.size() - 1; }
  bool matches(const Slot& slot, uint64_t hash, std::string_view text) const {
    return slot.tag == tag(hash) && (*table_)[static_cast<size_t>(slot.index)] == text;
  }

  const StringTable* table_;
  std::vector<Slot> slots_;
};

}  // namespace zhiyin
