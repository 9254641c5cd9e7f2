#include <bit>
#include <cmath>

#include "kernels/ref/kernels_ref.h"

namespace zhiyin::ref {
namespace {

// Below this the inverse of the scale would overflow; such a block counts as zero.
constexpr float kTinyMax = 1e-35f;

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
  const int64_t blocks = cols / kQ8Block;
  for (int64_t row = 0; row < rows; ++row) {
    for (int64_t block = 0; block < blocks; ++block) {
      const int64_t at = row * blocks + block;
      quantize_block(x + row * x_stride + block * kQ8Block, out.q + at * kQ8Block, out.scales + at,
                     out.sums + at);
    }
  }
}

}  // namespace zhiyin::ref
