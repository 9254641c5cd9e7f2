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

}  // namespace
}  // namespace zhiyin
