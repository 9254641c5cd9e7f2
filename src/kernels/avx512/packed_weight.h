// Reading the packed form of kernels/packed.h with AVX-512: heads to scales in f32, codes to bytes.
// Included by the .cc files of this folder alone.
#pragma once

#include <immintrin.h>

#include "kernels/packed.h"
#include "quant/blocks.h"

namespace zhiyin::avx512 {
namespace {

// Scales and mins of 16 rows, one array of 16 a (half) block.
using RowFloats = float[kPackRows];

inline __m512 load_halves(const uint8_t* p) {
  return _mm512_cvtph_ps(_mm256_load_si256(reinterpret_cast<const __m256i*>(p)));
}
inline __m512i load_vector(const uint8_t* p) { return _mm512_load_si512(p); }

// 64 bytes are four scales of 16 rows: factor * (byte - bias) to scale[0..3].
inline void store_scales(__m512i bytes, int bias, __m512 factor, RowFloats* scale) {
  const auto store = [&](__m128i row_bytes, int j) {
    const __m512i value =
        _mm512_sub_epi32(_mm512_cvtepu8_epi32(row_bytes), _mm512_set1_epi32(bias));
    _mm512_store_ps(scale[j], _mm512_mul_ps(_mm512_cvtepi32_ps(value), factor));
  };
  store(_mm512_castsi512_si128(bytes), 0);
  store(_mm512_extracti32x4_epi32(bytes, 1), 1);
  store(_mm512_extracti32x4_epi32(bytes, 2), 2);
  store(_mm512_extracti32x4_epi32(bytes, 3), 3);
}

// The four vectors of six-bit numbers in three: a_0..3, a_4..7, b_0..3, b_4..7.
struct SixBitPairs {
  __m512i a[2], b[2];
};
inline SixBitPairs load_pairs(const uint8_t* p) {
  const __m512i low = _mm512_set1_epi8(15), high = _mm512_set1_epi8(48);
  const __m512i v0 = load_vector(p), v1 = load_vector(p + 64), v2 = load_vector(p + 128);
  const auto join = [&](__m512i nibbles, __m512i bits) {  // nibbles & 15 | bits & 48
    return _mm512_ternarylogic_epi32(_mm512_and_si512(nibbles, low), bits, high, 0xF8);
  };
  return {{join(v0, _mm512_slli_epi32(v2, 4)), join(v1, v2)},
          {join(_mm512_srli_epi32(v0, 4), _mm512_slli_epi32(v2, 2)),
           join(_mm512_srli_epi32(v1, 4), _mm512_srli_epi32(v2, 2))}};
}

// Sum of 16 activations.
inline int sum_16(const int8_t* q) {
  const __m128i x = _mm_loadu_si128(reinterpret_cast<const __m128i*>(q));
  const __m128i four = _mm_dpbusd_epi32(_mm_setzero_si128(), _mm_set1_epi8(1), x);
  const __m128i two = _mm_add_epi32(four, _mm_shuffle_epi32(four, 0x4E));
  return _mm_cvtsi128_si32(_mm_add_epi32(two, _mm_shuffle_epi32(two, 0xB1)));
}

// weight = scale * (code - offset) + min for all (half) blocks of a unit. `min` is written for
// formats that have one.
template <Format kFormat>
inline void unpack_head(const uint8_t* p, RowFloats* scale, RowFloats* min) {
  constexpr PackedHead kHead = packed_layout(kFormat).head;
  using enum PackedHead;
  const __m512 d = load_halves(p), d1 = load_halves(p + 32);
  const uint8_t* tail = p + kPackVector;
  if constexpr (kHead == kHalf || kHead == kHalfMin) {
    _mm512_store_ps(scale[0], d);
    _mm512_store_ps(scale[1], d1);
  }
  if constexpr (kHead == kHalfMin) {
    _mm512_store_ps(min[0], load_halves(tail));
    _mm512_store_ps(min[1], load_halves(tail + 32));
  }
  if constexpr (kHead == kSixBitMin) {
    const SixBitPairs pairs = load_pairs(tail);
    const __m512 minus_dmin = _mm512_sub_ps(_mm512_setzero_ps(), d1);
    for (int i = 0; i < 2; ++i) {
      store_scales(pairs.a[i], 0, d, scale + 4 * i);
      store_scales(pairs.b[i], 0, minus_dmin, min + 4 * i);
    }
  }
  if constexpr (kHead == kSixBit) {  // the pairs are the two halves of a block
    const SixBitPairs pairs = load_pairs(tail);
    alignas(64) RowFloats even[8], odd[8];
    for (int i = 0; i < 2; ++i) {
      store_scales(pairs.a[i], 32, d, even + 4 * i);
      store_scales(pairs.b[i], 32, d, odd + 4 * i);
    }
    for (int j = 0; j < 8; ++j) {
      _mm512_store_ps(scale[2 * j], _mm512_load_ps(even[j]));
      _mm512_store_ps(scale[2 * j + 1], _mm512_load_ps(odd[j]));
    }
  }
  if constexpr (kHead == kByte) {  // signed: 128 is added and taken off
    for (int i = 0; i < 4; ++i) {
      const __m512i bytes = _mm512_xor_si512(load_vector(tail + 64 * i), _mm512_set1_epi8(-128));
      store_scales(bytes, 128, d, scale + 4 * i);
    }
  }
  if constexpr (kHead == kNibbleMin) {
    const __m512i low = _mm512_set1_epi8(15);
    const __m512 minus_dmin = _mm512_sub_ps(_mm512_setzero_ps(), d1);
    for (int i = 0; i < 4; ++i) {
      const __m512i bytes = load_vector(tail + 64 * i);
      store_scales(_mm512_and_si512(bytes, low), 0, d, scale + 4 * i);
      store_scales(_mm512_and_si512(_mm512_srli_epi32(bytes, 4), low), 0, minus_dmin, min + 4 * i);
    }
  }
  if constexpr (kHead == kSixBitBlock) {
    const __m512i nibbles = load_vector(tail);
    const __m256i bits = _mm256_load_si256(reinterpret_cast<const __m256i*>(p + 32));
    const auto high = [&](__m256i even, __m256i odd) {  // upper bits, already at bits 4 and 5
      return _mm512_and_si512(_mm512_inserti64x4(_mm512_castsi256_si512(even), odd, 1),
                              _mm512_set1_epi8(48));
    };
    const __m512i low = _mm512_set1_epi8(15);
    const __m512i high0 = high(_mm256_slli_epi32(bits, 4), _mm256_slli_epi32(bits, 2));
    const __m512i high1 = high(bits, _mm256_srli_epi32(bits, 2));
    store_scales(_mm512_or_si512(_mm512_and_si512(nibbles, low), high0), 32, d, scale);
    store_scales(_mm512_or_si512(_mm512_and_si512(_mm512_srli_epi32(nibbles, 4), low), high1), 32,
                 d, scale + 4);
  }
}

// value moved left by kBits, or right where negative.
template <int kBits>
inline __m512i shift(__m512i value) {
  if constexpr (kBits > 0) return _mm512_slli_epi32(value, kBits);
  if constexpr (kBits < 0) return _mm512_srli_epi32(value, -kBits);
  return value;
}

// The eight quads of a block as unsigned bytes.
template <Format kFormat>
inline void unpack_codes(const uint8_t* p, __m512i quads[8]) {
  constexpr PackedLayout kLayout = packed_layout(kFormat);
  const __m512i nibble = _mm512_set1_epi8(15);
  if constexpr (kLayout.bits == 8) {
    for (int c = 0; c < 8; ++c) quads[c] = load_vector(p + 64 * c);
  }
  if constexpr (kLayout.bits >= 4 && kLayout.bits < 8) {
    for (int v = 0; v < 4; ++v) {
      const __m512i vector = load_vector(p + 64 * v);
      quads[v] = _mm512_and_si512(vector, nibble);
      quads[v + 4] = _mm512_and_si512(_mm512_srli_epi32(vector, 4), nibble);
    }
  }
  if constexpr (kLayout.table) {
    const __m512i values =
        _mm512_broadcast_i32x4(_mm_loadu_si128(reinterpret_cast<const __m128i*>(kIq4Values)));
    const __m512i table = _mm512_xor_si512(values, _mm512_set1_epi8(-128));
    for (int c = 0; c < 8; ++c) quads[c] = _mm512_shuffle_epi8(table, quads[c]);
  }
  // quads[c] |= the bits of vector, moved to where the mask has them
  const auto merge = [&]<int kShift>(int c, __m512i vector, __m512i mask) {
    quads[c] = _mm512_ternarylogic_epi32(quads[c], shift<kShift>(vector), mask, 0xF8);
  };
  if constexpr (kLayout.bits == 6 || kLayout.bits <= 3) {
    constexpr int kAt = kLayout.bits == 6 ? 4 : 0;
    constexpr int kFirst = kLayout.bits == 6 ? 4 : 0;
    const __m512i mask = _mm512_set1_epi8(3 << kAt);
    for (int h = 0; h < 2; ++h) {
      const __m512i vector = load_vector(p + 64 * (kFirst + h));
      if constexpr (kLayout.bits <= 3) {
        for (int i = 0; i < 4; ++i) quads[4 * h + i] = _mm512_setzero_si512();
      }
      merge.template operator()<kAt>(4 * h, vector, mask);
      merge.template operator()<kAt - 2>(4 * h + 1, vector, mask);
      merge.template operator()<kAt - 4>(4 * h + 2, vector, mask);
      merge.template operator()<kAt - 6>(4 * h + 3, vector, mask);
    }
  }
  if constexpr (kLayout.bits == 5 || kLayout.bits == 3) {
    constexpr int kAt = kLayout.bits - 1;
    const __m512i vector = load_vector(p + 64 * (kLayout.block_vectors - 1));
    const __m512i mask = _mm512_set1_epi8(1 << kAt);
    merge.template operator()<kAt>(0, vector, mask);
    merge.template operator()<kAt - 1>(1, vector, mask);
    merge.template operator()<kAt - 2>(2, vector, mask);
    merge.template operator()<kAt - 3>(3, vector, mask);
    merge.template operator()<kAt - 4>(4, vector, mask);
    merge.template operator()<kAt - 5>(5, vector, mask);
    merge.template operator()<kAt - 6>(6, vector, mask);
    merge.template operator()<kAt - 7>(7, vector, mask);
  }
}

}  // namespace
}  // namespace zhiyin::avx512
