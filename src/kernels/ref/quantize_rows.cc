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

void quantize_block(const float* x, int8_t* q, float* scale, int32_t* sum) {
  // Compared as integers, a NaN is larger than every number and stays.
  uint32_t max_bits = 0;
  for (int i = 0; i < kQ8Block; ++i) {
    const uint32_t bits = std::bit_cast<uint32_t>(x[i]) & 0x7FFFFFFFu;
    max_bits = bits > max_bits ? bits : max_bits;
  }
  const float max = std::bit_cast<float>(max_bits);
  const bool zero = max < kTinyMax;
  const float inverse = zero ? 0.0f : 127.0f / max;
  *scale = zero ? 0.0f : max / 127.0f;
  *sum = 0;
  for (int i = 0; i < kQ8Block; ++i) {
    q[i] = round_to_byte(x[i] * inverse);
    *sum += q[i];
  }
}

}  // namespace

void quantize_rows(const float* x, int64_t x_stride, int64_t rows, int64_t cols, Q8Rows out) {
  quantize_rows_by_block(x, x_stride, rows, cols, out, quantize_block);
}

}  // namespace zhiyin::ref
