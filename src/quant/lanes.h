// Eight blocks side by side. The reference encoders add up each block's errors one element after
// the other, and equal bytes need equal sums; so parallelism goes across blocks: lane k of every
// vector belongs to block k, and each lane does what the scalar encoder does.
#pragma once

#include <bit>
#include <cstdint>

#define ZY_INLINE [[gnu::always_inline]] inline

namespace zhiyin {

inline constexpr int kLanes = 8;
using Floats [[gnu::vector_size(4 * kLanes)]] = float;
using Ints [[gnu::vector_size(4 * kLanes)]] = int32_t;  // also the result of comparing: 0 or -1

// Rounds to the nearest integer, ties to even, as ggml does it: by adding 1.5 * 2^23 and reading
// the mantissa. Exact for |value| < 2^22; beyond, infinities and NaN included, some integer that
// callers clamp.
ZY_INLINE int32_t nearest_int(float value) {
  return (std::bit_cast<int32_t>(value + 12582912.0f) & 0x007FFFFF) - 0x00400000;
}
ZY_INLINE Ints nearest_int(const Floats& value) {
  return (std::bit_cast<Ints>(value + 12582912.0f) & 0x007FFFFF) - 0x00400000;
}

// nearest_int, clamped, as numbers to calculate with.
ZY_INLINE Floats round_to(const Floats& value, int low, int high) {
  Ints code = nearest_int(value);
  code = code < low ? low + Ints{} : code;
  code = code > high ? high + Ints{} : code;
  return __builtin_convertvector(code, Floats);
}

ZY_INLINE Floats absolute(const Floats& value) {
  return std::bit_cast<Floats>(std::bit_cast<Ints>(value) & 0x7FFFFFFF);
}

ZY_INLINE Floats square_root(const Floats& value) {
  Floats root;
  for (int lane = 0; lane < kLanes; ++lane) root[lane] = __builtin_sqrtf(value[lane]);
  return root;
}

// lanes[i][k] = blocks[k * size + i]; blocks from `count` on are left empty (zeros).
template <int kSize>
ZY_INLINE void load_lanes(const float* blocks, Floats (&lanes)[kSize], int count = kLanes) {
  float* flat = reinterpret_cast<float*>(lanes);
  for (int i = 0; i < kSize; ++i) {
    for (int k = 0; k < kLanes; ++k) {
      flat[i * kLanes + k] = k < count ? blocks[k * kSize + i] : 0.0f;
    }
  }
}

}  // namespace zhiyin
