#include <algorithm>
#include <bit>
#include <cmath>

#include "kernels/quantize_rows_driver.h"
#include "kernels/ref/kernels_ref.h"

namespace zhiyin::ref {
namespace {

int8_t round_to_byte(float value) {
  if (!(std::fabs(value) < 128.0f)) return -128;  // from a NaN or an infinity
  return static_cast<int8_t>(std::lrintf(value));
}

// value = 256 high + low
void round_to_two_bytes(float value, int8_t* high, int8_t* low) {
  if (!(std::fabs(value) < 32768.0f)) value = -32768.0f;
  const long whole = std::lrintf(value);
  const long top = (whole + 128) >> 8;
  *high = static_cast<int8_t>(top);
  *low = static_cast<int8_t>(std::max(-127L, whole - 256 * top));
}

void quantize_block(const float* x, int8_t* q, int8_t* low, float* scale, int32_t* sum) {
  // Compared as integers, a NaN is larger than every number and stays.
  uint32_t max_bits = 0;
  for (int i = 0; i < kQ8Block; ++i) {
    const uint32_t bits = std::bit_cast<uint32_t>(x[i]) & 0x7FFFFFFFu;
    max_bits = bits > max_bits ? bits : max_bits;
  }
  const float max = std::bit_cast<float>(max_bits);
  const bool zero = max < kTinyMax;
  const float largest = low == nullptr ? kPlainMax : kFineMax;
  const float inverse = zero ? 0.0f : largest / max;
  *scale = zero ? 0.0f : max / largest;
  *sum = 0;
  for (int i = 0; i < kQ8Block; ++i) {
    if (low == nullptr) {
      q[i] = round_to_byte(x[i] * inverse);
      *sum += q[i];
    } else {
      round_to_two_bytes(x[i] * inverse, q + i, low + i);
      *sum += 256 * q[i] + low[i];
    }
  }
}

}  // namespace

void quantize_rows(const float* x, int64_t x_stride, int64_t rows, int64_t cols, Q8Rows out) {
  quantize_rows_by_block(x, x_stride, rows, cols, out, quantize_block);
}

void q8_tiles_from_rows(const float* x, int64_t x_stride, int64_t rows,
                        const Q8TileLayout& layout, uint8_t* tiles) {
  q8_tiles_by_block(x, x_stride, rows, layout, tiles, quantize_block);
}

}  // namespace zhiyin::ref
