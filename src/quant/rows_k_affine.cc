// Q2_K, Q4_K, Q5_K: sub-blocks with a scale and a min, which are themselves integers times the
// super-block's d and dmin.
#include <algorithm>

#include "quant/blocks.h"
#include "quant/coding.h"
#include "quant/half.h"
#include "quant/rows.h"
#include "quant/search.h"

namespace zhiyin {
namespace {

// What a format of this kind is made of. Sub-blocks: kSuperBlock / kSize.
struct LayoutQ2_K {
  using Block = BlockQ2_K;
  static constexpr int kSize = 16;
  static constexpr int kMaxCode = 3, kMaxScale = 15;
  static constexpr AffineSearch kSearch{kMaxCode, -0.5f, 0.1f, 15, true};
};
struct LayoutQ4_K {
  using Block = BlockQ4_K;
  static constexpr int kSize = 32;
  static constexpr int kMaxCode = 15, kMaxScale = 63;
  static constexpr AffineSearch kSearch{kMaxCode, -1.0f, 0.1f, 20, false};
};
struct LayoutQ5_K {
  using Block = BlockQ5_K;
  static constexpr int kSize = 32;
  static constexpr int kMaxCode = 31, kMaxScale = 63;
  static constexpr AffineSearch kSearch{kMaxCode, -0.5f, 0.1f, 15, false};
};

// Scales and mins in their packed form.

ZY_INLINE void store_scales(const uint8_t* scales, const uint8_t* mins, BlockQ2_K* block) {
  for (int j = 0; j < 16; ++j) block->scales[j] = static_cast<uint8_t>(scales[j] | mins[j] << 4);
}

// The inverse of unpack_scales_q4.
template <typename Block>
ZY_INLINE void store_scales(const uint8_t* scales, const uint8_t* mins, Block* block) {
  for (int j = 0; j < 4; ++j) {
    block->scales[j] = static_cast<uint8_t>(scales[j] | (scales[j + 4] >> 4) << 6);
    block->scales[j + 4] = static_cast<uint8_t>(mins[j] | (mins[j + 4] >> 4) << 6);
    block->scales[j + 8] = static_cast<uint8_t>((scales[j + 4] & 15) | (mins[j + 4] & 15) << 4);
  }
}

ZY_INLINE void load_scales(const BlockQ2_K& block, uint8_t* scales, uint8_t* mins) {
  for (int j = 0; j < 16; ++j) {
    scales[j] = block.scales[j] & 15;
    mins[j] = block.scales[j] >> 4;
  }
}

template <typename Block>
ZY_INLINE void load_scales(const Block& block, uint8_t* scales, uint8_t* mins) {
  unpack_scales_q4(block.scales, scales, mins);
}

// Codes in their packed form.

ZY_INLINE void store_codes(const uint8_t* codes, BlockQ2_K* block) {
  store_two_bits(codes, 0, block->qs);
}

template <typename Block>
ZY_INLINE void store_codes(const uint8_t* codes, Block* block) {
  for (int group = 0; group < 4; ++group) {
    store_nibbles(codes + 64 * group, 32, block->qs + 32 * group);
  }
  if constexpr (requires { block->qh; }) store_one_bit(codes, 4, block->qh);
}

ZY_INLINE void load_codes(const BlockQ2_K& block, uint8_t* __restrict codes) {
  for (int k = 0; k < 8; ++k) {
    for (int j = 0; j < 32; ++j) {
      codes[32 * k + j] = (block.qs[32 * (k / 4) + j] >> (2 * (k % 4))) & 3;
    }
  }
}

template <typename Block>
ZY_INLINE void load_codes(const Block& block, uint8_t* __restrict codes) {
  for (int group = 0; group < 4; ++group) {
    for (int j = 0; j < 32; ++j) {
      codes[64 * group + j] = block.qs[32 * group + j] & 15;
      codes[64 * group + 32 + j] = block.qs[32 * group + j] >> 4;
    }
  }
  if constexpr (requires { block.qh; }) {
    for (int k = 0; k < 8; ++k) {
      for (int j = 0; j < 32; ++j) {
        codes[32 * k + j] |= static_cast<uint8_t>(((block.qh[j] >> k) & 1) << 4);
      }
    }
  }
}

// Weights of the errors of eight sub-blocks without importance: Q2_K by magnitude, the others by
// magnitude above the sub-block's root mean square.
template <typename Layout>
ZY_INLINE void default_weights(const Floats (&x)[Layout::kSize], Floats (&w)[Layout::kSize]) {
  Floats base{};
  if constexpr (Layout::kSize == 32) {
    for (int i = 0; i < 32; ++i) base += x[i] * x[i];
    base = square_root(base / 32.0f);
  }
  for (int i = 0; i < Layout::kSize; ++i) w[i] = base + absolute(x[i]);
}

// Integers for the scales (or mins) of a super-block. Returns the unit they multiply.
template <int kCount>
ZY_INLINE float quantise_scales(const float* values, int max_scale, uint8_t* integers) {
  float largest = 0;
  for (int j = 0; j < kCount; ++j) largest = values[j] > largest ? values[j] : largest;
  const float top = static_cast<float>(max_scale);
  const float inverse = largest > 0 ? top / largest : 0.0f;
  for (int j = 0; j < kCount; ++j) {
    const int value = nearest_int(inverse * values[j]) & 255;
    integers[j] = static_cast<uint8_t>(std::min(value, max_scale));
  }
  return largest / top;
}

template <typename Layout>
ZY_INLINE void pack_block(const float* x, const float* importance,
                          typename Layout::Block* __restrict block) {
  constexpr int kSize = Layout::kSize, kCount = kSuperBlock / kSize;
  float scales[kCount], mins[kCount], weight_sums[kCount];
  uint8_t codes[kSuperBlock];

  float sigma2 = 0;
  if (importance != nullptr) {
    sigma2 = (kSize == 32 ? 2 : 1) * sum_of_squares(x, kSuperBlock) / kSuperBlock;
  }
  for (int first = 0; first < kCount; first += kLanes) {
    Floats lanes[kSize], weights[kSize], sum{};
    load_lanes(x + first * kSize, lanes);
    AffineFit<kSize> fit;
    if (importance == nullptr) {
      default_weights<Layout>(lanes, weights);
      fit_affine(lanes, weights, Layout::kSearch, &fit);
    } else {
      load_lanes(importance + first * kSize, weights);
      sum = scale_importance(lanes, sigma2 + Floats{}, weights);
      fit_affine(lanes, weights, AffineSearch{Layout::kMaxCode, -0.9f, 0.05f, 36, false}, &fit);
    }
    store_lanes(sum, weight_sums + first);
    std::copy_n(fit.scale, kLanes, scales + first);
    std::copy_n(fit.min, kLanes, mins + first);
    std::copy_n(fit.codes, kLanes * kSize, codes + first * kSize);
  }

  uint8_t scale_codes[kCount], min_codes[kCount];
  if (importance == nullptr) {
    block->d = float_to_half(quantise_scales<kCount>(scales, Layout::kMaxScale, scale_codes));
    block->dmin = float_to_half(quantise_scales<kCount>(mins, Layout::kMaxScale, min_codes));
  } else {
    block->d =
        float_to_half(fit_positive(scales, weight_sums, kCount, Layout::kMaxScale, scale_codes));
    block->dmin =
        float_to_half(fit_positive(mins, weight_sums, kCount, Layout::kMaxScale, min_codes));
  }
  store_scales(scale_codes, min_codes, block);

  // Codes again, for the scales as they will be read. A sub-block without scale keeps its own.
  load_scales(*block, scale_codes, min_codes);
  for (int j = 0; j < kCount; ++j) {
    const float d = half_to_float(block->d) * static_cast<float>(scale_codes[j]);
    if (d == 0) continue;
    const float min = half_to_float(block->dmin) * static_cast<float>(min_codes[j]);
    for (int i = j * kSize; i < (j + 1) * kSize; ++i) {
      const int code = nearest_int((x[i] + min) / d);
      codes[i] = static_cast<uint8_t>(std::max(0, std::min(Layout::kMaxCode, code)));
    }
  }
  store_codes(codes, block);
}

template <typename Layout>
ZY_INLINE void pack_row(const float* x, void* target, int64_t n, const float* importance) {
  auto* block = static_cast<typename Layout::Block*>(target);
  for (int64_t i = 0; i < n; i += kSuperBlock, ++block) {
    pack_block<Layout>(x + i, importance == nullptr ? nullptr : importance + i, block);
  }
}

template <typename Layout>
ZY_INLINE void unpack_row(const void* source, float* __restrict y, int64_t n) {
  constexpr int kSize = Layout::kSize, kCount = kSuperBlock / kSize;
  const auto* block = static_cast<const typename Layout::Block*>(source);
  for (; n > 0; n -= kSuperBlock, ++block) {
    const float d = half_to_float(block->d);
    const float dmin = half_to_float(block->dmin);
    uint8_t scales[kCount], mins[kCount], codes[kSuperBlock];
    load_scales(*block, scales, mins);
    load_codes(*block, codes);
    for (int j = 0; j < kCount; ++j) {
      const float scale = d * static_cast<float>(scales[j]);
      const float min = dmin * static_cast<float>(mins[j]);
      for (int i = 0; i < kSize; ++i) *y++ = scale * static_cast<float>(codes[j * kSize + i]) - min;
    }
  }
}

}  // namespace

ZY_ROW_FUNCTION void unpack_q2_k(const void* source, float* y, int64_t n) {
  unpack_row<LayoutQ2_K>(source, y, n);
}
ZY_ROW_FUNCTION void pack_q2_k(const float* x, void* target, int64_t n, const float* importance) {
  pack_row<LayoutQ2_K>(x, target, n, importance);
}
ZY_ROW_FUNCTION void unpack_q4_k(const void* source, float* y, int64_t n) {
  unpack_row<LayoutQ4_K>(source, y, n);
}
ZY_ROW_FUNCTION void pack_q4_k(const float* x, void* target, int64_t n, const float* importance) {
  pack_row<LayoutQ4_K>(x, target, n, importance);
}
ZY_ROW_FUNCTION void unpack_q5_k(const void* source, float* y, int64_t n) {
  unpack_row<LayoutQ5_K>(source, y, n);
}
ZY_ROW_FUNCTION void pack_q5_k(const float* x, void* target, int64_t n, const float* importance) {
  pack_row<LayoutQ5_K>(x, target, n, importance);
}

}  // namespace zhiyin
