// What the encoders of several formats share beside the searches: packing codes into bits, and the
// weights that importance gives to errors.
#pragma once

#include "quant/blocks.h"
#include "quant/lanes.h"

namespace zhiyin {

ZY_INLINE float inverse_or_zero(float d) { return d != 0 ? 1.0f / d : 0.0f; }

// Added up in order, as the reference does.
ZY_INLINE float sum_of_squares(const float* x, int64_t n) {
  float sum = 0;
  for (int64_t i = 0; i < n; ++i) sum += x[i] * x[i];
  return sum;
}

// Turns the importance in w into weights of the errors: an element counts for more when it, or its
// neighbourhood with mean square sigma2, is large. Returns each lane's sum of weights.
template <int kSize>
ZY_INLINE Floats scale_importance(const Floats (&x)[kSize], const Floats& sigma2,
                                  Floats (&w)[kSize]) {
  Floats sum{};
  for (int i = 0; i < kSize; ++i) {
    w[i] *= square_root(sigma2 + x[i] * x[i]);
    sum += w[i];
  }
  return sum;
}

// The low four bits of 2 * half codes: the first half into low nibbles, the second into high ones.
ZY_INLINE void store_nibbles(const uint8_t* codes, int half, uint8_t* __restrict target) {
  for (int j = 0; j < half; ++j) {
    target[j] = static_cast<uint8_t>((codes[j] & 15) | (codes[j + half] & 15) << 4);
  }
}

// Bits `shift` and `shift` + 1 of 256 codes into 64 bytes: byte 32h + j takes those of the elements
// j, j + 32, j + 64, j + 96 of half h.
ZY_INLINE void store_two_bits(const uint8_t* codes, int shift, uint8_t* __restrict target) {
  for (int half = 0; half < 2; ++half) {
    const uint8_t* c = codes + 128 * half;
    for (int j = 0; j < 32; ++j) {
      const int pairs = ((c[j] >> shift) & 3) | ((c[j + 32] >> shift) & 3) << 2 |
                        ((c[j + 64] >> shift) & 3) << 4 | ((c[j + 96] >> shift) & 3) << 6;
      target[32 * half + j] = static_cast<uint8_t>(pairs);
    }
  }
}

// Bit `shift` of 256 codes into 32 bytes: bit k of byte j is that of element 32k + j.
ZY_INLINE void store_one_bit(const uint8_t* codes, int shift, uint8_t* __restrict target) {
  for (int j = 0; j < 32; ++j) {
    int bits = 0;
    for (int k = 0; k < 8; ++k) bits |= ((codes[32 * k + j] >> shift) & 1) << k;
    target[j] = static_cast<uint8_t>(bits);
  }
}

}  // namespace zhiyin
