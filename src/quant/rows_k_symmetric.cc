// Q3_K, Q6_K: sub-blocks of 16 with a signed scale, which is an integer times the super-block's d.
#include <algorithm>
#include <cmath>

#include "quant/blocks.h"
#include "quant/coding.h"
#include "quant/half.h"
#include "quant/rows.h"
#include "quant/search.h"

namespace zhiyin {
namespace {

constexpr int kSize = 16;
constexpr int kCount = kSuperBlock / kSize;

struct SubBlocks {
  float scales[kCount];
  uint8_t codes[kSuperBlock];
};

ZY_INLINE void append(const SymmetricFit<kSize>& fit, int first, SubBlocks* all) {
  std::copy_n(fit.scale, kLanes, all->scales + first);
  std::copy_n(fit.codes, kLanes * kSize, all->codes + first * kSize);
}

// The scale of largest magnitude, with its sign.
ZY_INLINE float extreme_scale(const float* scales) {
  float magnitude = 0, extreme = 0;
  for (int j = 0; j < kCount; ++j) {
    const float size = std::fabs(scales[j]);
    if (size > magnitude) {
      magnitude = size;
      extreme = scales[j];
    }
  }
  return extreme;
}

// Codes again, for the scales as they will be read. A sub-block without scale keeps its own.
ZY_INLINE void recode(const float* x, float d, const int8_t* scales, int offset, uint8_t* codes) {
  for (int j = 0; j < kCount; ++j) {
    const float scale = d * static_cast<float>(scales[j]);
    if (scale == 0) continue;
    for (int i = j * kSize; i < (j + 1) * kSize; ++i) {
      const int code = nearest_int(x[i] / scale);
      codes[i] = static_cast<uint8_t>(std::max(-offset, std::min(offset - 1, code)) + offset);
    }
  }
}

// The inverse of unpack_scales_q3; scales with 32 added.
ZY_INLINE void store_scales(const uint8_t* scales, BlockQ3_K* block) {
  for (int j = 0; j < 8; ++j) {
    block->scales[j] = static_cast<uint8_t>((scales[j] & 15) | (scales[j + 8] & 15) << 4);
  }
  for (int j = 0; j < 4; ++j) {
    block->scales[8 + j] =
        static_cast<uint8_t>(scales[j] >> 4 | (scales[j + 4] >> 4) << 2 |
                             (scales[j + 8] >> 4) << 4 | (scales[j + 12] >> 4) << 6);
  }
}

ZY_INLINE void store_codes(const uint8_t* codes, BlockQ3_K* block) {
  store_two_bits(codes, 0, block->qs);
  store_one_bit(codes, 2, block->hmask);
}

ZY_INLINE void store_codes(const uint8_t* codes, BlockQ6_K* block) {
  for (int half = 0; half < 2; ++half) {
    store_nibbles(codes + 128 * half, 64, block->ql + 64 * half);
  }
  store_two_bits(codes, 4, block->qh);
}

ZY_INLINE void pack_block(const float* x, const float* importance, BlockQ3_K* __restrict block) {
  constexpr int kOffset = 4;
  SubBlocks sub;
  uint8_t scale_codes[kCount];
  float d = 0;
  if (importance == nullptr) {
    for (int first = 0; first < kCount; first += kLanes) {
      Floats lanes[kSize];
      load_lanes(x + first * kSize, lanes);
      SymmetricFit<kSize> fit;
      fit_symmetric_by_descent(lanes, kOffset, &fit);
      append(fit, first, &sub);
    }
    const float extreme = extreme_scale(sub.scales);
    const float inverse = extreme != 0 ? -32.0f / extreme : 0.0f;
    d = extreme != 0 ? 1 / inverse : 0.0f;
    for (int j = 0; j < kCount; ++j) {
      const int scale = std::max(-32, std::min(31, nearest_int(inverse * sub.scales[j])));
      scale_codes[j] = static_cast<uint8_t>(extreme != 0 ? scale + 32 : 0);
    }
  } else {
    const float sigma2 = 2 * sum_of_squares(x, kSuperBlock) / kSuperBlock;
    float weight_sums[kCount];
    for (int first = 0; first < kCount; first += kLanes) {
      Floats lanes[kSize], weights[kSize];
      load_lanes(x + first * kSize, lanes);
      load_lanes(importance + first * kSize, weights);
      const Floats sum = scale_importance(lanes, sigma2 + Floats{}, weights);
      SymmetricFit<kSize> fit;
      fit_symmetric(lanes, weights, kOffset, &fit);
      append(fit, first, &sub);
      store_lanes(sum, weight_sums + first);
    }
    // The sixteen scales are fitted as a block of their own, in the first lane.
    Floats scale_lanes[kCount], sum_lanes[kCount];
    load_lanes(sub.scales, scale_lanes, 1);
    load_lanes(weight_sums, sum_lanes, 1);
    SymmetricFit<kCount> fit;
    fit_symmetric(scale_lanes, sum_lanes, 32, &fit);
    d = fit.scale[0];
    std::copy_n(fit.codes, kCount, scale_codes);
  }
  store_scales(scale_codes, block);
  block->d = float_to_half(d);

  int8_t scales[kCount];
  unpack_scales_q3(block->scales, scales);
  recode(x, half_to_float(block->d), scales, kOffset, sub.codes);
  store_codes(sub.codes, block);
}

ZY_INLINE void pack_block(const float* x, const float* importance, BlockQ6_K* __restrict block) {
  constexpr int kOffset = 32;
  SubBlocks sub;
  for (int first = 0; first < kCount; first += kLanes) {
    Floats lanes[kSize], weights[kSize];
    load_lanes(x + first * kSize, lanes);
    if (importance == nullptr) {
      for (int i = 0; i < kSize; ++i) weights[i] = lanes[i] * lanes[i];
    } else {
      load_lanes(importance + first * kSize, weights);
    }
    SymmetricFit<kSize> fit;
    fit_symmetric(lanes, weights, kOffset, &fit);
    append(fit, first, &sub);
  }
  const float extreme = extreme_scale(sub.scales);
  if (std::fabs(extreme) < kNoMagnitude) {
    *block = {};
    return;
  }
  const float inverse = -128.0f / extreme;
  block->d = float_to_half(1 / inverse);
  for (int j = 0; j < kCount; ++j) {
    block->scales[j] = static_cast<int8_t>(std::min(127, nearest_int(inverse * sub.scales[j])));
  }
  recode(x, half_to_float(block->d), block->scales, kOffset, sub.codes);
  store_codes(sub.codes, block);
}

template <typename Block>
ZY_INLINE void pack_row(const float* x, void* target, int64_t n, const float* importance) {
  auto* block = static_cast<Block*>(target);
  for (int64_t i = 0; i < n; i += kSuperBlock, ++block) {
    pack_block(x + i, importance == nullptr ? nullptr : importance + i, block);
  }
}

}  // namespace

ZY_ROW_FUNCTION void pack_q3_k(const float* x, void* target, int64_t n, const float* importance) {
  pack_row<BlockQ3_K>(x, target, n, importance);
}
ZY_ROW_FUNCTION void pack_q6_k(const float* x, void* target, int64_t n, const float* importance) {
  pack_row<BlockQ6_K>(x, target, n, importance);
}

ZY_ROW_FUNCTION void unpack_q3_k(const void* source, float* __restrict y, int64_t n) {
  const auto* block = static_cast<const BlockQ3_K*>(source);
  for (; n > 0; n -= kSuperBlock, ++block) {
    const float d = half_to_float(block->d);
    int8_t scales[kCount];
    unpack_scales_q3(block->scales, scales);
    for (int k = 0; k < 8; ++k) {  // 32 elements, two sub-blocks
      const uint8_t* low = block->qs + 32 * (k / 4);
      const int shift = 2 * (k % 4);
      for (int half = 0; half < 2; ++half) {
        const float scale = d * static_cast<float>(scales[2 * k + half]);
        for (int j = half * kSize; j < (half + 1) * kSize; ++j) {
          const int code = ((low[j] >> shift) & 3) | ((block->hmask[j] >> k) & 1) << 2;
          *y++ = scale * static_cast<float>(code - 4);
        }
      }
    }
  }
}

ZY_ROW_FUNCTION void unpack_q6_k(const void* source, float* __restrict y, int64_t n) {
  const auto* block = static_cast<const BlockQ6_K*>(source);
  for (; n > 0; n -= kSuperBlock, ++block) {
    const float d = half_to_float(block->d);
    for (int k = 0; k < 8; ++k) {  // 32 elements, two sub-blocks
      const uint8_t* low = block->ql + 64 * (k / 4) + 32 * (k % 2);
      const uint8_t* high = block->qh + 32 * (k / 4);
      const int low_shift = 4 * ((k / 2) % 2), high_shift = 2 * (k % 4);
      for (int half = 0; half < 2; ++half) {
        const float scale = d * static_cast<float>(block->scales[2 * k + half]);
        for (int j = half * kSize; j < (half + 1) * kSize; ++j) {
          const int code = ((low[j] >> low_shift) & 15) | ((high[j] >> high_shift) & 3) << 4;
          *y++ = scale * static_cast<float>(code - 32);
        }
      }
    }
  }
}

}  // namespace zhiyin
