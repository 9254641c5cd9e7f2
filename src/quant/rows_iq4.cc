// IQ4_NL, IQ4_XS: four-bit codes for sixteen values that lie dense near zero.
#include <algorithm>
#include <cmath>

#include "quant/blocks.h"
#include "quant/coding.h"
#include "quant/half.h"
#include "quant/rows.h"
#include "quant/search.h"

namespace zhiyin {
namespace {

// The nearest of kIq4Values, as code and as value. Ties go up. Both sides are doubled, so that the
// middle between two values is an integer.
ZY_INLINE Floats nearest_value(const Floats& x) {
  const Floats doubled = x + x;
  Floats value = static_cast<float>(kIq4Values[0]) + Floats{};
  for (int i = 1; i < 16; ++i) {
    const float middle = static_cast<float>(kIq4Values[i - 1] + kIq4Values[i]);
    const float next = static_cast<float>(kIq4Values[i]);
    value = doubled >= middle ? next + Floats{} : value;
  }
  return value;
}

ZY_INLINE uint8_t nearest_code(float x) {
  const float doubled = x + x;
  int code = 0;
  for (int i = 1; i < 16; ++i) {
    code += doubled >= static_cast<float>(kIq4Values[i - 1] + kIq4Values[i]) ? 1 : 0;
  }
  return static_cast<uint8_t>(code);
}

// Scales of eight blocks of 32, weights w of the squared error: the best of the scale that maps
// the extreme to the first value and of fifteen more around it.
ZY_INLINE Floats fit_scales(const Floats (&x)[kBlock], const Floats (&w)[kBlock]) {
  constexpr float kFirstValue = kIq4Values[0];
  Floats magnitude;
  const Floats extreme = signed_extreme(x, &magnitude);
  Floats scale{}, best{};
  for (int k = -8; k <= 7; ++k) {
    // First the scale whose sign is turned, so that the extreme meets the smaller last value.
    const bool first = k == -8;
    const Floats inverse =
        first ? 1.0f / (-extreme / kFirstValue) : (static_cast<float>(k) + kFirstValue) / extreme;
    Floats sum_qx{}, sum_q2{};
    for (int i = 0; i < kBlock; ++i) {
      const Floats q = nearest_value(inverse * x[i]);
      const Floats wq = w[i] * q;
      sum_qx += wq * x[i];
      sum_q2 += wq * q;
    }
    const Floats candidate = sum_qx / sum_q2;
    const Ints better = (sum_q2 > 0.0f) & (first | (sum_qx * sum_qx > best * sum_q2));
    scale = better ? candidate : scale;
    best = better ? candidate * sum_qx : best;
  }
  return magnitude < kNoMagnitude ? Floats{} : scale;
}

// The mean square of 32 or 256 elements, doubled.
ZY_INLINE float doubled_mean_square(const float* x, int n) {
  return sum_of_squares(x, n) * (2.0f / static_cast<float>(n));
}

ZY_INLINE void default_weights(const Floats (&x)[kBlock], Floats (&w)[kBlock]) {
  for (int i = 0; i < kBlock; ++i) w[i] = x[i] * x[i];
}

// 32 elements: scale * kIq4Values[code].
ZY_INLINE void unpack_nibbles(const uint8_t* qs, float scale, float* __restrict y) {
  float values[16];
  for (int i = 0; i < 16; ++i) values[i] = scale * kIq4Values[i];
  for (int j = 0; j < kBlock / 2; ++j) {
    y[j] = values[qs[j] & 15];
    y[j + kBlock / 2] = values[qs[j] >> 4];
  }
}

ZY_INLINE void pack_block(const float* x, const float* importance, BlockIQ4_XS* __restrict block) {
  Floats lanes[kBlock], weights[kBlock];
  load_lanes(x, lanes);
  if (importance == nullptr) {
    default_weights(lanes, weights);
  } else {
    load_lanes(importance, weights);
    scale_importance(lanes, doubled_mean_square(x, kSuperBlock) + Floats{}, weights);
  }
  float scales[kLanes];
  store_lanes(fit_scales(lanes, weights), scales);

  float magnitude = 0, extreme = 0;
  for (const float scale : scales) {
    if (std::fabs(scale) > magnitude) {
      magnitude = std::fabs(scale);
      extreme = scale;
    }
  }
  const float d = -extreme / 32;
  const float inverse = inverse_or_zero(d);
  *block = {};
  block->d = float_to_half(d);
  for (int k = 0; k < kLanes; ++k) {
    const int integer = std::max(-32, std::min(31, nearest_int(inverse * scales[k])));
    const float block_inverse = inverse_or_zero(d * static_cast<float>(integer));
    uint8_t codes[kBlock];
    for (int j = 0; j < kBlock; ++j) codes[j] = nearest_code(block_inverse * x[k * kBlock + j]);
    store_nibbles(codes, kBlock / 2, block->qs + k * kBlock / 2);
    const int stored = integer + 32;
    block->scales_l[k / 2] |= static_cast<uint8_t>((stored & 15) << (4 * (k % 2)));
    block->scales_h |= static_cast<uint16_t>((stored >> 4) << (2 * k));
  }
}

}  // namespace

ZY_ROW_FUNCTION void pack_iq4_nl(const float* x, void* target, int64_t n, const float* importance) {
  auto* __restrict block = static_cast<BlockIQ4_NL*>(target);
  for (int64_t left = n / kBlock; left > 0; left -= kLanes) {
    const int count = static_cast<int>(std::min<int64_t>(left, kLanes));
    Floats lanes[kBlock], weights[kBlock];
    load_lanes(x, lanes, count);
    if (importance == nullptr) {
      default_weights(lanes, weights);
    } else {
      load_lanes(importance, weights, count);
      Floats sigma2{};
      for (int k = 0; k < count; ++k) sigma2[k] = doubled_mean_square(x + k * kBlock, kBlock);
      scale_importance(lanes, sigma2, weights);
      importance += count * kBlock;
    }
    const Floats scale = fit_scales(lanes, weights);
    for (int k = 0; k < count; ++k, ++block, x += kBlock) {
      const float inverse = inverse_or_zero(scale[k]);
      uint8_t codes[kBlock];
      for (int j = 0; j < kBlock; ++j) codes[j] = nearest_code(inverse * x[j]);
      block->d = float_to_half(scale[k]);
      store_nibbles(codes, kBlock / 2, block->qs);
    }
  }
}

ZY_ROW_FUNCTION void unpack_iq4_nl(const void* source, float* y, int64_t n) {
  const auto* block = static_cast<const BlockIQ4_NL*>(source);
  for (; n > 0; n -= kBlock, y += kBlock, ++block) {
    unpack_nibbles(block->qs, half_to_float(block->d), y);
  }
}

ZY_ROW_FUNCTION void pack_iq4_xs(const float* x, void* target, int64_t n, const float* importance) {
  auto* block = static_cast<BlockIQ4_XS*>(target);
  for (int64_t i = 0; i < n; i += kSuperBlock, ++block) {
    pack_block(x + i, importance == nullptr ? nullptr : importance + i, block);
  }
}

ZY_ROW_FUNCTION void unpack_iq4_xs(const void* source, float* y, int64_t n) {
  const auto* block = static_cast<const BlockIQ4_XS*>(source);
  for (; n > 0; n -= kSuperBlock, ++block) {
    const float d = half_to_float(block->d);
    int8_t scales[8];
    unpack_scales_iq4_xs(*block, scales);
    for (int k = 0; k < 8; ++k, y += kBlock) {
      unpack_nibbles(block->qs + k * kBlock / 2, d * static_cast<float>(scales[k]), y);
    }
  }
}

}  // namespace zhiyin
