// Vectors of 8 lanes for kernels/packed_unpack.h and packed_driver.h; avx512/packed_simd.h
// describes the members.
#pragma once

#include <immintrin.h>

#include "kernels/packed_unpack.h"

namespace zhiyin::avx2 {
namespace {

struct Simd {
  using Ints = __m256i;
  using Floats = __m256;

  static constexpr int kLanes = 8;
  static constexpr int kTileTokens = 4;
  // Pairs of products are summed in 16 bits, for which unsigned bytes times activations are too
  // large.
  static constexpr bool kSignedBytes = true;

  ZY_INLINE static Ints load(const uint8_t* p) {
    return _mm256_load_si256(reinterpret_cast<const __m256i*>(p));
  }
  ZY_INLINE static void store(uint8_t* p, Ints value) {
    _mm256_store_si256(reinterpret_cast<__m256i*>(p), value);
  }
  ZY_INLINE static Ints set(int32_t value) { return _mm256_set1_epi32(value); }
  ZY_INLINE static Ints set_bytes(int value) { return _mm256_set1_epi8(static_cast<char>(value)); }
  ZY_INLINE static Ints look_up(const int8_t table[16], Ints codes) {
    const __m128i values = _mm_loadu_si128(reinterpret_cast<const __m128i*>(table));
    return _mm256_shuffle_epi8(_mm256_broadcastsi128_si256(values), codes);
  }

  // Codes of up to 5 bits: 8 products of 31 * 127 at most fit 16 bits; of 6 bits, 4 of 63 * 127;
  // signed bytes, 2 of 128 * 127.
  static constexpr int dot_kind(int bits) { return bits <= 5 ? 5 : bits; }
  template <int kBits>
  ZY_INLINE static Ints dot(Ints start, const Ints w[4], const int8_t* q, int stride) {
    const __m256i ones = _mm256_set1_epi16(1);
    __m256i pairs[4];
    for (int c = 0; c < 4; ++c) {
      int32_t quad;
      __builtin_memcpy(&quad, q + c * stride, sizeof(quad));
      const __m256i x = _mm256_set1_epi32(quad);
      pairs[c] = kBits == 8 ? _mm256_maddubs_epi16(_mm256_abs_epi8(w[c]), _mm256_sign_epi8(x, w[c]))
                            : _mm256_maddubs_epi16(w[c], x);
    }
    if constexpr (kBits == 8) {
      const __m256i a =
          _mm256_add_epi32(_mm256_madd_epi16(pairs[0], ones), _mm256_madd_epi16(pairs[1], ones));
      const __m256i b =
          _mm256_add_epi32(_mm256_madd_epi16(pairs[2], ones), _mm256_madd_epi16(pairs[3], ones));
      return _mm256_add_epi32(start, _mm256_add_epi32(a, b));
    }
    const __m256i a = _mm256_add_epi16(pairs[0], pairs[1]);
    const __m256i b = _mm256_add_epi16(pairs[2], pairs[3]);
    if constexpr (kBits == 6) {
      return _mm256_add_epi32(
          start, _mm256_add_epi32(_mm256_madd_epi16(a, ones), _mm256_madd_epi16(b, ones)));
    }
    return _mm256_add_epi32(start, _mm256_madd_epi16(_mm256_add_epi16(a, b), ones));
  }
  ZY_INLINE static int sum_16(const int8_t* q) {
    // Sums of eight bytes each, taken as unsigned with 128 added.
    const __m128i x =
        _mm_xor_si128(_mm_loadu_si128(reinterpret_cast<const __m128i*>(q)), _mm_set1_epi8(-128));
    const __m128i sums = _mm_sad_epu8(x, _mm_setzero_si128());
    return _mm_cvtsi128_si32(sums) + _mm_extract_epi16(sums, 4) - 16 * 128;
  }

  ZY_INLINE static Floats load(const float* p) { return _mm256_load_ps(p); }
  ZY_INLINE static Floats set(float value) { return _mm256_set1_ps(value); }
  ZY_INLINE static Floats to_floats(Ints value) { return _mm256_cvtepi32_ps(value); }
  ZY_INLINE static Ints add(Ints a, Ints b) { return _mm256_add_epi32(a, b); }
  ZY_INLINE static Ints times_256(Ints a) { return _mm256_slli_epi32(a, 8); }
  ZY_INLINE static Floats add(Floats a, Floats b) { return _mm256_add_ps(a, b); }
  ZY_INLINE static Floats mul(Floats a, Floats b) { return _mm256_mul_ps(a, b); }
  ZY_INLINE static Floats fma(Floats a, Floats b, Floats c) { return _mm256_fmadd_ps(a, b, c); }

  ZY_INLINE static Floats load_rows(const float* y, int64_t rows) {
    return _mm256_maskload_ps(y, row_mask(rows));
  }
  ZY_INLINE static void store_rows(float* y, int64_t rows, Floats value) {
    _mm256_maskstore_ps(y, row_mask(rows), value);
  }

  ZY_INLINE static void load_halves(const uint8_t* p, float* out) {
    const auto* halves = reinterpret_cast<const __m128i*>(p);
    _mm256_store_ps(out, _mm256_cvtph_ps(_mm_load_si128(halves)));
    _mm256_store_ps(out + 8, _mm256_cvtph_ps(_mm_load_si128(halves + 1)));
  }
  ZY_INLINE static void scale_bytes(Piece bytes, int bias, const float* factor, float* out) {
    const auto low = reinterpret_cast<__m128i>(bytes);
    const auto scale = [&](__m128i eight, int lane) {
      const __m256i value = _mm256_sub_epi32(_mm256_cvtepu8_epi32(eight), set(bias));
      _mm256_store_ps(out + lane, _mm256_mul_ps(_mm256_cvtepi32_ps(value), load(factor + lane)));
    };
    scale(low, 0);
    scale(_mm_unpackhi_epi64(low, low), 8);
  }

 private:
  ZY_INLINE static __m256i row_mask(int64_t rows) {
    const int count = static_cast<int>(rows < kLanes ? rows : kLanes);
    return _mm256_cmpgt_epi32(set(count), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
  }
};

}  // namespace
}  // namespace zhiyin::avx2
