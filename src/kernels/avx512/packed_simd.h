// Vectors of 16 lanes for kernels/packed_unpack.h and packed_driver.h.
#pragma once

#include <immintrin.h>

#include "kernels/packed_unpack.h"

namespace zhiyin::avx512 {
namespace {

struct Simd {
  using Ints = __m512i;
  using Floats = __m512;

  static constexpr int kLanes = 16;
  static constexpr int kTileTokens = 8;
  static constexpr bool kSignedBytes = false;  // codes are multiplied as unsigned bytes

  ZY_INLINE static Ints load(const uint8_t* p) { return _mm512_load_si512(p); }
  ZY_INLINE static void store(uint8_t* p, Ints value) { _mm512_store_si512(p, value); }
  ZY_INLINE static Ints set(int32_t value) { return _mm512_set1_epi32(value); }
  ZY_INLINE static Ints set_bytes(int value) { return _mm512_set1_epi8(static_cast<char>(value)); }
  // table[code] for each byte
  ZY_INLINE static Ints look_up(const int8_t table[16], Ints codes) {
    const __m128i values = _mm_loadu_si128(reinterpret_cast<const __m128i*>(table));
    return _mm512_shuffle_epi8(_mm512_broadcast_i32x4(values), codes);
  }

  // How a product depends on the bits of a code; here not at all.
  static constexpr int dot_kind(int) { return 0; }
  // start + four quads of codes times four quads of activations, these `stride` bytes apart. Exact.
  template <int kKind>
  ZY_INLINE static Ints dot(Ints start, const Ints w[4], const int8_t* q, int stride) {
    for (int c = 0; c < 4; ++c) {
      int32_t quad;
      __builtin_memcpy(&quad, q + c * stride, sizeof(quad));
      start = _mm512_dpbusd_epi32(start, w[c], _mm512_set1_epi32(quad));
    }
    return start;
  }
  // Sum of 16 activations.
  ZY_INLINE static int sum_16(const int8_t* q) {
    const __m128i x = _mm_loadu_si128(reinterpret_cast<const __m128i*>(q));
    const __m128i four = _mm_dpbusd_epi32(_mm_setzero_si128(), _mm_set1_epi8(1), x);
    const __m128i two = _mm_add_epi32(four, _mm_shuffle_epi32(four, 0x4E));
    return _mm_cvtsi128_si32(_mm_add_epi32(two, _mm_shuffle_epi32(two, 0xB1)));
  }

  ZY_INLINE static Ints subtract_bytes(Ints a, int value) {
    return _mm512_sub_epi8(a, set_bytes(value));
  }

  ZY_INLINE static Floats load(const float* p) { return _mm512_load_ps(p); }
  ZY_INLINE static void store(float* p, Floats value) { _mm512_store_ps(p, value); }
  ZY_INLINE static Floats set(float value) { return _mm512_set1_ps(value); }
  ZY_INLINE static Floats to_floats(Ints value) { return _mm512_cvtepi32_ps(value); }
  ZY_INLINE static Ints add(Ints a, Ints b) { return _mm512_add_epi32(a, b); }
  ZY_INLINE static Ints times_256(Ints a) { return _mm512_slli_epi32(a, 8); }
  ZY_INLINE static Floats add(Floats a, Floats b) { return _mm512_add_ps(a, b); }
  ZY_INLINE static Floats mul(Floats a, Floats b) { return _mm512_mul_ps(a, b); }
  ZY_INLINE static Floats fma(Floats a, Floats b, Floats c) { return _mm512_fmadd_ps(a, b, c); }

  // Results of the first `rows` rows, which may be more than there are lanes, or none.
  ZY_INLINE static Floats load_rows(const float* y, int64_t rows) {
    return _mm512_maskz_loadu_ps(row_mask(rows), y);
  }
  ZY_INLINE static void store_rows(float* y, int64_t rows, Floats value) {
    _mm512_mask_storeu_ps(y, row_mask(rows), value);
  }

  // Head of a unit: 16 halves, or 16 bytes as factor * (byte - bias), to 16 floats.
  ZY_INLINE static void load_halves(const uint8_t* p, float* out) {
    _mm512_store_ps(out, _mm512_cvtph_ps(_mm256_load_si256(reinterpret_cast<const __m256i*>(p))));
  }
  ZY_INLINE static void scale_bytes(Piece bytes, int bias, const float* factor, float* out) {
    const __m512i value = _mm512_cvtepu8_epi32(reinterpret_cast<__m128i>(bytes));
    const __m512 number = _mm512_cvtepi32_ps(_mm512_sub_epi32(value, set(bias)));
    _mm512_store_ps(out, _mm512_mul_ps(number, _mm512_load_ps(factor)));
  }

  // Of rows that remain, which may be more than there are lanes, or none.
  ZY_INLINE static __mmask16 row_mask(int64_t rows) {
    return static_cast<__mmask16>(rows >= kLanes ? 0xFFFF : rows <= 0 ? 0 : (1 << rows) - 1);
  }
};

}  // namespace
}  // namespace zhiyin::avx512
