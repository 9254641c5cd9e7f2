// Q4_0, Q4_1, Q5_0, Q5_1, Q8_0: 32 elements with one scale, and for the _1 formats a min.
#include <algorithm>
#include <cfloat>
#include <cmath>

#include "quant/blocks.h"
#include "quant/coding.h"
#include "quant/half.h"
#include "quant/rows.h"
#include "quant/search.h"

namespace zhiyin {
namespace {

constexpr int kHalf = kBlock / 2;

// The two layouts of 32 codes: nibbles, and nibbles with a fifth bit apart.

template <typename Block>
ZY_INLINE void store_codes(const uint8_t* codes, Block* block) {
  store_nibbles(codes, kHalf, block->qs);
  if constexpr (requires { block->qh; }) {
    uint32_t fifth = 0;
    for (int j = 0; j < kBlock; ++j) fifth |= ((codes[j] >> 4) & 1u) << j;
    std::memcpy(block->qh, &fifth, sizeof fifth);
  }
}

// Calls value(code) for each element and writes what it returns.
template <typename Block, typename Value>
ZY_INLINE void unpack_nibbles(const Block& block, float* __restrict y, const Value& value) {
  uint32_t fifth = 0;
  if constexpr (requires { block.qh; }) std::memcpy(&fifth, block.qh, sizeof fifth);
  for (int j = 0; j < kHalf; ++j) y[j] = value((block.qs[j] & 15) | ((fifth >> j) & 1) << 4);
  fifth >>= kHalf;
  y += kHalf;
  for (int j = 0; j < kHalf; ++j) y[j] = value((block.qs[j] >> 4) | ((fifth >> j) & 1) << 4);
}

template <typename Block>
constexpr int kMaxCode = requires(Block block) { block.qh; } ? 31 : 15;

// Elements [j, j + 8) of a block, side by side.
ZY_INLINE Floats eight_of(const float* x, int j) {
  Floats eight;
  std::memcpy(&eight, x + j, sizeof eight);
  return eight;
}

// The smallest and the largest of a block and the start; NaNs count for nothing.
struct Range {
  float low, high;
};
ZY_INLINE Range range_of(const float* x, Range start) {
  Floats low = start.low + Floats{}, high = start.high + Floats{};
  for (int j = 0; j < kBlock; j += kLanes) {
    const Floats eight = eight_of(x, j);
    low = eight < low ? eight : low;
    high = eight > high ? eight : high;
  }
  for (int k = 0; k < kLanes; ++k) {
    start.low = std::min(start.low, low[k]);
    start.high = std::max(start.high, high[k]);
  }
  return start;
}

// The sign of a min of zero shows in the bytes: it is that of the first zero.
ZY_INLINE float first_zero(const float* x) {
  while (*x != 0) ++x;
  return *x;
}

// The element of largest magnitude, with its sign; the first of equals.
ZY_INLINE float signed_extreme(const float* x) {
  const auto [low, high] = range_of(x, {0.0f, 0.0f});
  if (high != -low) return high > -low ? high : low;
  if (high == 0) return 0;
  while (std::fabs(*x) != high) ++x;
  return *x;
}

// Codes of value(eight elements), truncated; NaN becomes 0.
template <typename Value>
ZY_INLINE void truncate_to_codes(const float* x, int max_code, uint8_t* codes, const Value& value) {
  const Floats top = static_cast<float>(max_code) + Floats{};
  int32_t whole[kBlock];
  for (int j = 0; j < kBlock; j += kLanes) {
    Floats code = value(eight_of(x, j));
    code = code > 0.0f ? code : Floats{};
    code = code < top ? code : top;
    const Ints eight = __builtin_convertvector(code, Ints);
    std::memcpy(whole + j, &eight, sizeof eight);
  }
  for (int j = 0; j < kBlock; ++j) codes[j] = static_cast<uint8_t>(whole[j]);
}

// Mean square of a row, from which the importance of an element's neighbours is reckoned.
float mean_square(const float* x, int64_t n) {
  return sum_of_squares(x, n) / static_cast<float>(n);
}

// Fills x and w, in lanes, with `count` blocks and the weights of their errors.
ZY_INLINE void load_weighted(const float* blocks, const float* importance, float sigma2, int count,
                             Floats (&x)[kBlock], Floats (&w)[kBlock]) {
  load_lanes(blocks, x, count);
  load_lanes(importance, w, count);
  scale_importance(x, sigma2 + Floats{}, w);
}

// x = d * (q - offset): d puts the extreme on code 0.
template <typename Block>
ZY_INLINE void pack_symmetric(const float* x, void* target, int64_t n, const float* importance) {
  constexpr int kOffset = (kMaxCode<Block> + 1) / 2;
  auto* block = static_cast<Block*>(target);
  if (importance == nullptr) {
    for (; n > 0; n -= kBlock, x += kBlock, ++block) {
      const float d = signed_extreme(x) / -kOffset;
      const float inverse = inverse_or_zero(d);
      uint8_t codes[kBlock];
      truncate_to_codes(x, kMaxCode<Block>, codes,
                        [=](const Floats& eight) __attribute__((always_inline)) {
                          return eight * inverse + (kOffset + 0.5f);
                        });
      block->d = float_to_half(d);
      store_codes(codes, block);
    }
    return;
  }
  const float sigma2 = mean_square(x, n);
  for (int64_t left = n / kBlock; left > 0; left -= kLanes) {
    const int count = static_cast<int>(std::min<int64_t>(left, kLanes));
    Floats lanes[kBlock], weights[kBlock];
    load_weighted(x, importance, sigma2, count, lanes, weights);
    SymmetricFit<kBlock> fit;
    fit_symmetric(lanes, weights, kOffset, &fit);
    for (int k = 0; k < count; ++k, ++block) {
      block->d = float_to_half(fit.scale[k]);
      store_codes(fit.codes + k * kBlock, block);
    }
    x += count * kBlock;
    importance += count * kBlock;
  }
}

// x = d * q + m: m is the smallest element, d puts the largest on the last code.
template <typename Block>
ZY_INLINE void pack_affine(const float* x, void* target, int64_t n, const float* importance) {
  auto* block = static_cast<Block*>(target);
  if (importance == nullptr) {
    for (; n > 0; n -= kBlock, x += kBlock, ++block) {
      const Range range = range_of(x, {FLT_MAX, -FLT_MAX});
      const float low = range.low == 0 ? first_zero(x) : range.low;
      const float high = range.high == 0 ? first_zero(x) : range.high;
      const float d = (high - low) / kMaxCode<Block>;
      const float inverse = inverse_or_zero(d);
      uint8_t codes[kBlock];
      truncate_to_codes(x, kMaxCode<Block>, codes,
                        [=](const Floats& eight) __attribute__((always_inline)) {
                          return (eight - low) * inverse + 0.5f;
                        });
      block->d = float_to_half(d);
      block->m = float_to_half(low);
      store_codes(codes, block);
    }
    return;
  }
  constexpr AffineSearch kSearch{kMaxCode<Block>, -0.9f, 0.05f, 36, false};
  const float sigma2 = mean_square(x, n);
  for (int64_t left = n / kBlock; left > 0; left -= kLanes) {
    const int count = static_cast<int>(std::min<int64_t>(left, kLanes));
    Floats lanes[kBlock], weights[kBlock];
    load_weighted(x, importance, sigma2, count, lanes, weights);
    AffineFit<kBlock> fit;
    fit_affine(lanes, weights, kSearch, &fit);
    for (int k = 0; k < count; ++k, ++block) {
      block->d = float_to_half(fit.scale[k]);
      block->m = float_to_half(-fit.min[k]);
      store_codes(fit.codes + k * kBlock, block);
    }
    x += count * kBlock;
    importance += count * kBlock;
  }
}

template <typename Block>
ZY_INLINE void unpack_symmetric(const void* source, float* __restrict y, int64_t n) {
  constexpr int kOffset = (kMaxCode<Block> + 1) / 2;
  const auto* block = static_cast<const Block*>(source);
  for (; n > 0; n -= kBlock, y += kBlock, ++block) {
    const float d = half_to_float(block->d);
    unpack_nibbles(*block, y, [=](uint32_t q) __attribute__((always_inline)) {
      return static_cast<float>(static_cast<int>(q) - kOffset) * d;
    });
  }
}

template <typename Block>
ZY_INLINE void unpack_affine(const void* source, float* __restrict y, int64_t n) {
  const auto* block = static_cast<const Block*>(source);
  for (; n > 0; n -= kBlock, y += kBlock, ++block) {
    const float d = half_to_float(block->d);
    const float m = half_to_float(block->m);
    unpack_nibbles(*block, y, [=](uint32_t q) __attribute__((always_inline)) {
      return static_cast<float>(static_cast<int>(q)) * d + m;
    });
  }
}

// Ties away from zero; what no code can hold (NaN, infinities) becomes 0.
ZY_INLINE Ints round_away(const Floats& value) {
  const Ints fits = (value >= -127.5f) & (value <= 127.5f);
  const Floats held = fits ? value : Floats{};
  const Ints whole = __builtin_convertvector(held, Ints);
  const Floats rest = held - __builtin_convertvector(whole, Floats);
  return whole - (rest >= 0.5f) + (rest <= -0.5f);  // true is -1
}

ZY_INLINE float largest_magnitude(const float* x) {
  Floats largest{};
  for (int j = 0; j < kBlock; j += kLanes) {
    const Floats size = absolute(eight_of(x, j));
    largest = largest > size ? largest : size;
  }
  float magnitude = 0;
  for (int k = 0; k < kLanes; ++k) magnitude = std::max(magnitude, largest[k]);
  return magnitude;
}

}  // namespace

ZY_ROW_FUNCTION void unpack_q4_0(const void* source, float* y, int64_t n) {
  unpack_symmetric<BlockQ4_0>(source, y, n);
}
ZY_ROW_FUNCTION void pack_q4_0(const float* x, void* target, int64_t n, const float* importance) {
  pack_symmetric<BlockQ4_0>(x, target, n, importance);
}
ZY_ROW_FUNCTION void unpack_q4_1(const void* source, float* y, int64_t n) {
  unpack_affine<BlockQ4_1>(source, y, n);
}
ZY_ROW_FUNCTION void pack_q4_1(const float* x, void* target, int64_t n, const float* importance) {
  pack_affine<BlockQ4_1>(x, target, n, importance);
}
ZY_ROW_FUNCTION void unpack_q5_0(const void* source, float* y, int64_t n) {
  unpack_symmetric<BlockQ5_0>(source, y, n);
}
ZY_ROW_FUNCTION void pack_q5_0(const float* x, void* target, int64_t n, const float* importance) {
  pack_symmetric<BlockQ5_0>(x, target, n, importance);
}
ZY_ROW_FUNCTION void unpack_q5_1(const void* source, float* y, int64_t n) {
  unpack_affine<BlockQ5_1>(source, y, n);
}
ZY_ROW_FUNCTION void pack_q5_1(const float* x, void* target, int64_t n, const float* importance) {
  pack_affine<BlockQ5_1>(x, target, n, importance);
}

ZY_ROW_FUNCTION void unpack_q8_0(const void* source, float* __restrict y, int64_t n) {
  const auto* block = static_cast<const BlockQ8_0*>(source);
  for (; n > 0; n -= kBlock, y += kBlock, ++block) {
    const float d = half_to_float(block->d);
    for (int j = 0; j < kBlock; ++j) y[j] = static_cast<float>(block->qs[j]) * d;
  }
}

ZY_ROW_FUNCTION void pack_q8_0(const float* x, void* target, int64_t n, const float*) {
  auto* __restrict block = static_cast<BlockQ8_0*>(target);
  for (; n > 0; n -= kBlock, x += kBlock, ++block) {
    const float d = largest_magnitude(x) / 127;
    const float inverse = inverse_or_zero(d);
    block->d = float_to_half(d);
    int32_t codes[kBlock];
    for (int j = 0; j < kBlock; j += kLanes) {
      const Ints eight = round_away(eight_of(x, j) * inverse);
      std::memcpy(codes + j, &eight, sizeof eight);
    }
    for (int j = 0; j < kBlock; ++j) block->qs[j] = static_cast<int8_t>(codes[j]);
  }
}

}  // namespace zhiyin
