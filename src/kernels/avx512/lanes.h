// Vectors of 16 floats for the kernels of kernels/wide.
#pragma once

#include <immintrin.h>

#include <cstdint>

namespace zhiyin::avx512 {
namespace {

struct Lanes {
  using Vec = __m512;
  static constexpr int64_t kCount = 16;
  static constexpr int kTileRows = 12;     // x 2 vectors: 24 sums of 32 registers
  static constexpr int kWideTileRows = 6;  // x 4 vectors

  struct All {};
  struct Some {
    __mmask16 mask;
    explicit Some(int64_t n) : mask(first_lanes(n)) {}
  };

  // The first n lanes; none where n <= 0.
  static __mmask16 first_lanes(int64_t n) {
    if (n >= kCount) return 0xffff;
    return n <= 0 ? __mmask16{0} : static_cast<__mmask16>((1u << n) - 1);
  }

  static Vec load(const void* p, All) { return _mm512_loadu_ps(p); }
  static Vec load(const void* p, Some part) { return _mm512_maskz_loadu_ps(part.mask, p); }
  static void store(float* p, All, Vec x) { _mm512_storeu_ps(p, x); }
  static void store(float* p, Some part, Vec x) { _mm512_mask_storeu_ps(p, part.mask, x); }
  static void store_bits(void* p, Vec x) { _mm512_storeu_ps(p, x); }

  static __m256i load16(const void* p, All) {
    return _mm256_loadu_si256(static_cast<const __m256i*>(p));
  }
  static __m256i load16(const void* p, Some part) { return _mm256_maskz_loadu_epi16(part.mask, p); }
  static void store16(void* p, All, __m256i x) { _mm256_storeu_si256(static_cast<__m256i*>(p), x); }
  static void store16(void* p, Some part, __m256i x) { _mm256_mask_storeu_epi16(p, part.mask, x); }
  static Vec load_f16(const void* p, auto part) { return _mm512_cvtph_ps(load16(p, part)); }
  static void store_f16(void* p, auto part, Vec x) {
    store16(p, part, _mm512_cvtps_ph(x, _MM_FROUND_TO_NEAREST_INT));
  }
  static Vec load_bf16(const void* p, auto part) {
    const __m512i wide = _mm512_cvtepu16_epi32(load16(p, part));
    return _mm512_castsi512_ps(_mm512_slli_epi32(wide, 16));
  }
  // Not vcvtneps2bf16, which turns subnormal numbers into zero: a stored value should not depend
  // on the CPU that wrote it.
  static void store_bf16(void* p, auto part, Vec x) {
    const __m512i bits = _mm512_castps_si512(x);
    const __m512i upper = _mm512_srli_epi32(bits, 16);
    const __m512i odd = _mm512_and_si512(upper, _mm512_set1_epi32(1));
    const __m512i to_even = _mm512_add_epi32(_mm512_set1_epi32(0x7fff), odd);
    const __m512i rounded = _mm512_srli_epi32(_mm512_add_epi32(bits, to_even), 16);
    const __mmask16 nan = _mm512_cmp_ps_mask(x, x, _CMP_UNORD_Q);
    const __m512i quiet = _mm512_mask_or_epi32(rounded, nan, upper, _mm512_set1_epi32(64));
    store16(p, part, _mm512_cvtepi32_epi16(quiet));
  }
  // Up to 2 * kCount floats, of which n are read, rounded to bfloat16 in their order.
  static Vec load_as_bf16_pairs(const float* p, int64_t n) {
    const Vec low = load(p, Some(n));
    const Vec high = load(p + kCount, Some(n - kCount));
    return _mm512_castsi512_ps((__m512i)_mm512_cvtne2ps_pbh(high, low));
  }
  static Vec load_int8(const int8_t* p) {
    const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
    return _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(bytes));
  }
  static float from_half(uint16_t half) { return _cvtsh_ss(half); }

  static Vec set(float x) { return _mm512_set1_ps(x); }
  static Vec add(Vec a, Vec b) { return _mm512_add_ps(a, b); }
  static Vec sub(Vec a, Vec b) { return _mm512_sub_ps(a, b); }
  static Vec mul(Vec a, Vec b) { return _mm512_mul_ps(a, b); }
  static Vec div(Vec a, Vec b) { return _mm512_div_ps(a, b); }
  static Vec max(Vec a, Vec b) { return _mm512_max_ps(a, b); }
  static Vec min(Vec a, Vec b) { return _mm512_min_ps(a, b); }
  static Vec sqrt(Vec a) { return _mm512_sqrt_ps(a); }
  static Vec fmadd(Vec a, Vec b, Vec c) { return _mm512_fmadd_ps(a, b, c); }    // a b + c
  static Vec fmsub(Vec a, Vec b, Vec c) { return _mm512_fmsub_ps(a, b, c); }    // a b - c
  static Vec fnmadd(Vec a, Vec b, Vec c) { return _mm512_fnmadd_ps(a, b, c); }  // c - a b
  // a b - c in even lanes, a b + c in odd ones.
  static Vec fmaddsub(Vec a, Vec b, Vec c) { return _mm512_fmaddsub_ps(a, b, c); }
  static Vec round(Vec a) {
    return _mm512_roundscale_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
  }
  // a 2^n for whole n
  static Vec times_power_of_two(Vec a, Vec n) { return _mm512_scalef_ps(a, n); }

  // yes in the part's lanes, no in the others.
  static Vec keep(All, Vec yes, Vec) { return yes; }
  static Vec keep(Some part, Vec yes, Vec no) { return _mm512_mask_mov_ps(no, part.mask, yes); }
  // yes in the lanes [first, last), which may lie outside the vector.
  static Vec keep_range(int64_t first, int64_t last, Vec yes, Vec no) {
    const auto mask = static_cast<__mmask16>(first_lanes(last) & ~first_lanes(first));
    return _mm512_mask_mov_ps(no, mask, yes);
  }

  // Half as many floats, each in two neighbouring lanes.
  static Vec load_doubled(const float* p, All) {
    return doubled(_mm512_castps256_ps512(_mm256_loadu_ps(p)));
  }
  static Vec load_doubled(const float* p, Some part) {
    const auto mask = static_cast<__mmask16>(_pext_u32(part.mask, 0x5555));
    return doubled(_mm512_maskz_loadu_ps(mask, p));
  }
  static Vec doubled(Vec low) {
    const __m512i twice = _mm512_set_epi32(7, 7, 6, 6, 5, 5, 4, 4, 3, 3, 2, 2, 1, 1, 0, 0);
    return _mm512_permutexvar_ps(twice, low);
  }
  static Vec swap_pairs(Vec a) { return _mm512_permute_ps(a, 0xb1); }

  // Over all lanes, in a fixed order.
  static float sum_of(Vec a) {
    const __m256 eight = _mm256_add_ps(_mm512_castps512_ps256(a), _mm512_extractf32x8_ps(a, 1));
    const __m128 four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
    const __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)));
  }
  static bool any_above(Vec a, float x) {
    return _mm512_cmp_ps_mask(a, _mm512_set1_ps(x), _CMP_GT_OQ) != 0;
  }
  static float max_of(Vec a) {
    const __m256 eight = _mm256_max_ps(_mm512_castps512_ps256(a), _mm512_extractf32x8_ps(a, 1));
    const __m128 four = _mm_max_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
    const __m128 two = _mm_max_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_max_ss(two, _mm_movehdup_ps(two)));
  }

  // 16 rows of 16 become 16 columns.
  [[gnu::always_inline]] static void transpose(Vec (&rows)[kCount]) {
    Vec t[kCount];
    for (int i = 0; i < kCount; i += 2) {
      t[i] = _mm512_unpacklo_ps(rows[i], rows[i + 1]);
      t[i + 1] = _mm512_unpackhi_ps(rows[i], rows[i + 1]);
    }
    // rows[g + j]: column 4 q + j, for each quarter q, of rows g .. g + 3
    for (int g = 0; g < kCount; g += 4) {
      rows[g] = _mm512_shuffle_ps(t[g], t[g + 2], 0x44);
      rows[g + 1] = _mm512_shuffle_ps(t[g], t[g + 2], 0xee);
      rows[g + 2] = _mm512_shuffle_ps(t[g + 1], t[g + 3], 0x44);
      rows[g + 3] = _mm512_shuffle_ps(t[g + 1], t[g + 3], 0xee);
    }
    for (int j = 0; j < 4; ++j) {
      const Vec even_low = _mm512_shuffle_f32x4(rows[j], rows[4 + j], 0x88);
      const Vec odd_low = _mm512_shuffle_f32x4(rows[j], rows[4 + j], 0xdd);
      const Vec even_high = _mm512_shuffle_f32x4(rows[8 + j], rows[12 + j], 0x88);
      const Vec odd_high = _mm512_shuffle_f32x4(rows[8 + j], rows[12 + j], 0xdd);
      t[j] = _mm512_shuffle_f32x4(even_low, even_high, 0x88);
      t[8 + j] = _mm512_shuffle_f32x4(even_low, even_high, 0xdd);
      t[4 + j] = _mm512_shuffle_f32x4(odd_low, odd_high, 0x88);
      t[12 + j] = _mm512_shuffle_f32x4(odd_low, odd_high, 0xdd);
    }
    for (int i = 0; i < kCount; ++i) rows[i] = t[i];
  }
};

}  // namespace
}  // namespace zhiyin::avx512
