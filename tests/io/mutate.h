// Damaged copies of a file in memory, the same ones in every run.
#pragma once

#include <cstdint>
#include <random>
#include <string>
#include <vector>

namespace zhiyin::testing {

using Bytes = std::vector<uint8_t>;

// Overwrites a few places among the first `header` bytes with random or extreme values, or cuts the
// file. Deterministic in `seed`.
inline Bytes mutated(const Bytes& original, size_t header, uint32_t seed) {
  std::mt19937 random(seed);
  const auto below = [&](size_t limit) {
    return std::uniform_int_distribution<size_t>(0, limit - 1)(random);
  };
  Bytes bytes = original;
  const size_t changes = 1 + below(4);
  for (size_t i = 0; i < changes; ++i) {
    const size_t at = below(header);
    switch (below(5)) {
      case 0:
        bytes[at] = static_cast<uint8_t>(random());
        break;
      case 1:
        bytes[at] = static_cast<uint8_t>(bytes[at] ^ (1U << below(8)));
        break;
      case 2: {  // an extreme 64-bit number
        const uint64_t value = ~uint64_t{0} >> below(64);
        for (size_t k = 0; k < 8 && at + k < bytes.size(); ++k) {
          bytes[at + k] = static_cast<uint8_t>(value >> (8 * k));
        }
        break;
      }
      case 3:  // a stretch of the file copied over another
        for (size_t k = 0, from = below(header); k < 16; ++k) {
          if (at + k < bytes.size() && from + k < bytes.size()) bytes[at + k] = bytes[from + k];
        }
        break;
      default:
        if (i == 0) bytes.resize(1 + below(bytes.size()));
        header = std::min(header, bytes.size());
        break;
    }
  }
  return bytes;
}

}  // namespace zhiyin::testing
