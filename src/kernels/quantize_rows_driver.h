// Rounding of rows to integers, block by block: the loop that every instruction set shares around
// its own quantize_block(x, q, low, scale, sum). Included by quantize_rows.cc of those folders
// alone.
#pragma once

#include <cstdint>

#include "kernels/kernels.h"

namespace zhiyin {
namespace {

// Below this the inverse of the scale would overflow; a block whose largest value is smaller counts
// as zero.
constexpr float kTinyMax = 1e-35f;

// The largest magnitude of a rounded value.
constexpr float kPlainMax = 127.0f, kFineMax = 127.0f * 256.0f;

template <typename QuantizeBlock>
void quantize_rows_by_block(const float* x, int64_t x_stride, int64_t rows, int64_t cols,
                            Q8Rows out, const QuantizeBlock& quantize_block) {
  const int64_t blocks = cols / kQ8Block;
  for (int64_t row = 0; row < rows; ++row) {
    for (int64_t block = 0; block < blocks; ++block) {
      const int64_t at = row * blocks + block;
      quantize_block(x + row * x_stride + block * kQ8Block, out.q + at * kQ8Block,
                     out.low == nullptr ? nullptr : out.low + at * kQ8Block, out.scales + at,
                     out.sums + at);
    }
  }
}

// The same into tiles.
template <typename QuantizeBlock>
void q8_tiles_by_block(const float* x, int64_t x_stride, int64_t rows, const Q8TileLayout& layout,
                       uint8_t* tiles, const QuantizeBlock& quantize_block) {
  constexpr int kTokens = kQ8TileTokens;
  // Quads of a block lie a tile's tokens apart.
  const auto spread = [](const int8_t* block, uint8_t* to) {
    for (int c = 0; c < kQ8Block / 4; ++c) {
      __builtin_memcpy(to + 4 * kTokens * c, block + 4 * c, 4);
    }
  };
  for (int64_t begin = 0; begin < rows; begin += kTokens) {
    uint8_t* tile = tiles + begin / kTokens * layout.bytes();
    const int64_t count = rows - begin < kTokens ? rows - begin : kTokens;
    if (count < kTokens) __builtin_memset(tile, 0, static_cast<size_t>(layout.bytes()));
    for (int64_t t = 0; t < count; ++t) {
      const float* row = x + (begin + t) * x_stride;
      float window = 0.0f;
      for (int64_t col = 0; col < layout.cols; col += kQ8Block) {
        int8_t q[kQ8Block], low[kQ8Block];
        float scale;
        int32_t sum;
        quantize_block(row + col, q, layout.fine ? low : nullptr, &scale, &sum);
        spread(q, tile + layout.q_at(col) + 4 * t);
        if (layout.fine) spread(low, tile + layout.low_at(col) + 4 * t);
        reinterpret_cast<float*>(tile + layout.scales_at(col))[t] = scale;
        if (col % kQ8Window == 0) window = 0.0f;
        window += scale * static_cast<float>(sum);
        reinterpret_cast<float*>(tile + layout.sums_at(col))[t] = window;
      }
    }
  }
}

}  // namespace
}  // namespace zhiyin
