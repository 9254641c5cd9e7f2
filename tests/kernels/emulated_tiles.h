// The tile registers of AMX in plain C++: they prove the indexing of the tile kernels on any
// machine.
#pragma once

#include <cstdint>
#include <cstring>

#include "quant/formats.h"

namespace zhiyin::testing {

class EmulatedTiles {
 public:
  // Registers hold anything at first; here NaNs.
  EmulatedTiles() { std::memset(tiles_, 0xff, sizeof tiles_); }

  template <int kTile>
  void zero() {
    std::memset(tiles_[kTile], 0, sizeof tiles_[kTile]);
  }
  template <int kTile>
  void load(const void* p, int64_t stride) {
    for (int r = 0; r < kRows; ++r) {
      std::memcpy(tiles_[kTile][r], static_cast<const uint8_t*>(p) + r * stride, kRowBytes);
    }
  }
  template <int kTile>
  void store(void* p, int64_t stride) {
    for (int r = 0; r < kRows; ++r) {
      std::memcpy(static_cast<uint8_t*>(p) + r * stride, tiles_[kTile][r], kRowBytes);
    }
  }
  template <int kSum, int kA, int kB>
  void dot_bf16() {
    for (int m = 0; m < kRows; ++m) {
      for (int n = 0; n < 16; ++n) {
        float sum;
        std::memcpy(&sum, tiles_[kSum][m] + 4 * n, sizeof sum);
        for (int k = 0; k < 16; ++k) {
          for (int half = 0; half < 2; ++half) {
            sum += element(kA, m, 2 * k + half) * element(kB, k, 2 * n + half);
          }
        }
        std::memcpy(tiles_[kSum][m] + 4 * n, &sum, sizeof sum);
      }
    }
  }

 private:
  static constexpr int kRows = 16;
  static constexpr int kRowBytes = 64;

  float element(int tile, int row, int i) const {
    uint16_t bits;
    std::memcpy(&bits, tiles_[tile][row] + 2 * i, sizeof bits);
    return bfloat16_to_float(bits);
  }

  uint8_t tiles_[8][kRows][kRowBytes];
};

}  // namespace zhiyin::testing
