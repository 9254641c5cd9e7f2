// Vectors of 8 floats for the kernels of kernels/wide.
#pragma once

#include <immintrin.h>

#include <cstdint>

namespace zhiyin::avx2 {
namespace {

struct Lanes {
  using Vec = __m256;
  static constexpr int64_t kCount = 8;
  static constexpr int kTileRows = 6;      // x 2 vectors: 12 sums of 16 registers
  static constexpr int kWideTileRows = 2;  // x 4 vectors

  struct All {};
  struct Some {
    int64_t n;
    __m256i mask;
    explicit Some(int64_t count) : n(count), mask(first_lanes(count)) {}
  };

  // The first n lanes; none where n <= 0.
  static __m256i first_lanes(int64_t n) {
    const auto clamped = static_cast<int>(n < 0 ? 0 : n > kCount ? kCount : n);
    return _mm256_cmpgt_epi32(_mm256_set1_epi32(clamped), lane_numbers());
  }
  static __m256i lane_numbers() { return _mm256_set_epi32(7, 6, 5, 4, 3, 2, 1, 0); }

  static Vec load(const void* p, All) { return _mm256_loadu_ps(static_cast<const float*>(p)); }
  static Vec load(const void* p, Some part) {
    return _mm256_maskload_ps(static_cast<const float*>(p), part.mask);
  }
  static void store(float* p, All, Vec x) { _mm256_storeu_ps(p, x); }
  static void store(float* p, Some part, Vec x) { _mm256_maskstore_ps(p, part.mask, x); }
  static void store_bits(void* p, Vec x) { _mm256_storeu_ps(static_cast<float*>(p), x); }

  static __m128i load16(const void* p, All) {
    return _mm_loadu_si128(static_cast<const __m128i*>(p));
  }
  static __m128i load16(const void* p, Some part) {
    __m128i x = _mm_setzero_si128();
    __builtin_memcpy(&x, p, static_cast<size_t>(part.n) * 2);
    return x;
  }
  static void store16(void* p, All, __m128i x) { _mm_storeu_si128(static_cast<__m128i*>(p), x); }
  static void store16(void* p, Some part, __m128i x) {
    __builtin_memcpy(p, &x, static_cast<size_t>(part.n) * 2);
  }
  static Vec load_f16(const void* p, auto part) { return _mm256_cvtph_ps(load16(p, part)); }
  static void store_f16(void* p, auto part, Vec x) {
    store16(p, part, _mm256_cvtps_ph(x, _MM_FROUND_TO_NEAREST_INT));
  }
  static Vec load_bf16(const void* p, auto part) {
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(load16(p, part)), 16));
  }
  static void store_bf16(void* p, auto part, Vec x) {
    const __m256i rounded = rounded_to_bf16(x);
    store16(
        p, part,
        _mm_packus_epi32(_mm256_castsi256_si128(rounded), _mm256_extracti128_si256(rounded, 1)));
  }
  // In the lower half of each lane.
  static __m256i rounded_to_bf16(Vec x) {
    const __m256i bits = _mm256_castps_si256(x);
    const __m256i upper = _mm256_srli_epi32(bits, 16);
    const __m256i odd = _mm256_and_si256(upper, _mm256_set1_epi32(1));
    const __m256i to_even = _mm256_add_epi32(_mm256_set1_epi32(0x7fff), odd);
    const __m256i rounded = _mm256_srli_epi32(_mm256_add_epi32(bits, to_even), 16);
    const __m256i quiet = _mm256_or_si256(upper, _mm256_set1_epi32(64));
    const __m256i nan = _mm256_castps_si256(_mm256_cmp_ps(x, x, _CMP_UNORD_Q));
    return _mm256_blendv_epi8(rounded, quiet, nan);
  }
  // Up to 2 * kCount floats, of which n are read, rounded to bfloat16 in their order.
  static Vec load_as_bf16_pairs(const float* p, int64_t n) {
    const __m256i low = rounded_to_bf16(load(p, Some(n)));
    const __m256i high = rounded_to_bf16(load(p + kCount, Some(n - kCount)));
    const __m256i mixed = _mm256_packus_epi32(low, high);  // within halves of 128 bits
    return _mm256_castsi256_ps(_mm256_permute4x64_epi64(mixed, 0xd8));
  }
  static Vec load_int8(const int8_t* p) {
    const __m128i bytes = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(p));
    return _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(bytes));
  }
  static float from_half(uint16_t half) { return _cvtsh_ss(half); }

  static Vec set(float x) { return _mm256_set1_ps(x); }
  static Vec add(Vec a, Vec b) { return _mm256_add_ps(a, b); }
  static Vec sub(Vec a, Vec b) { return _mm256_sub_ps(a, b); }
  static Vec mul(Vec a, Vec b) { return _mm256_mul_ps(a, b); }
  static Vec div(Vec a, Vec b) { return _mm256_div_ps(a, b); }
  static Vec max(Vec a, Vec b) { return _mm256_max_ps(a, b); }
  static Vec min(Vec a, Vec b) { return _mm256_min_ps(a, b); }
  static Vec sqrt(Vec a) { return _mm256_sqrt_ps(a); }
  static Vec fmadd(Vec a, Vec b, Vec c) { return _mm256_fmadd_ps(a, b, c); }    // a b + c
  static Vec fmsub(Vec a, Vec b, Vec c) { return _mm256_fmsub_ps(a, b, c); }    // a b - c
  static Vec fnmadd(Vec a, Vec b, Vec c) { return _mm256_fnmadd_ps(a, b, c); }  // c - a b
  // a b - c in even lanes, a b + c in odd ones.
  static Vec fmaddsub(Vec a, Vec b, Vec c) { return _mm256_fmaddsub_ps(a, b, c); }
  static Vec round(Vec a) {
    return _mm256_round_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
  }
  // a 2^n for whole n of [-252, 254], in two steps, since 2^n itself may leave the range of floats.
  static Vec times_power_of_two(Vec a, Vec n) {
    const __m256i whole = _mm256_cvtps_epi32(n);
    const __m256i half = _mm256_srai_epi32(whole, 1);
    return mul(mul(a, power_of_two(half)), power_of_two(_mm256_sub_epi32(whole, half)));
  }
  static Vec power_of_two(__m256i n) {
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_add_epi32(n, _mm256_set1_epi32(127)), 23));
  }

  // yes in the part's lanes, no in the others.
  static Vec keep(All, Vec yes, Vec) { return yes; }
  static Vec keep(Some part, Vec yes, Vec no) {
    return _mm256_blendv_ps(no, yes, _mm256_castsi256_ps(part.mask));
  }
  // yes in the lanes [first, last), which may lie outside the vector.
  static Vec keep_range(int64_t first, int64_t last, Vec yes, Vec no) {
    const __m256i mask = _mm256_andnot_si256(first_lanes(first), first_lanes(last));
    return _mm256_blendv_ps(no, yes, _mm256_castsi256_ps(mask));
  }

  // Half as many floats, each in two neighbouring lanes.
  static Vec load_doubled(const float* p, All) { return doubled(_mm_loadu_ps(p)); }
  static Vec load_doubled(const float* p, Some part) {
    const __m256i mask = first_lanes(part.n / 2);
    return doubled(_mm_maskload_ps(p, _mm256_castsi256_si128(mask)));
  }
  static Vec doubled(__m128 low) {
    const __m256i twice = _mm256_set_epi32(3, 3, 2, 2, 1, 1, 0, 0);
    return _mm256_permutevar8x32_ps(_mm256_castps128_ps256(low), twice);
  }
  static Vec swap_pairs(Vec a) { return _mm256_permute_ps(a, 0xb1); }

  // Over all lanes, in a fixed order.
  static float sum_of(Vec a) {
    const __m128 four = _mm_add_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
    const __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)));
  }
  static bool any_above(Vec a, float x) {
    return _mm256_movemask_ps(_mm256_cmp_ps(a, _mm256_set1_ps(x), _CMP_GT_OQ)) != 0;
  }
  static float max_of(Vec a) {
    const __m128 four = _mm_max_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
    const __m128 two = _mm_max_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_max_ss(two, _mm_movehdup_ps(two)));
  }

  // 8 rows of 8 become 8 columns.
  [[gnu::always_inline]] static void transpose(Vec (&rows)[kCount]) {
    Vec t[kCount];
    for (int i = 0; i < kCount; i += 2) {
      t[i] = _mm256_unpacklo_ps(rows[i], rows[i + 1]);
      t[i + 1] = _mm256_unpackhi_ps(rows[i], rows[i + 1]);
    }
    // rows[g + j]: column 4 h + j, for each half h, of rows g .. g + 3
    for (int g = 0; g < kCount; g += 4) {
      rows[g] = _mm256_shuffle_ps(t[g], t[g + 2], 0x44);
      rows[g + 1] = _mm256_shuffle_ps(t[g], t[g + 2], 0xee);
      rows[g + 2] = _mm256_shuffle_ps(t[g + 1], t[g + 3], 0x44);
      rows[g + 3] = _mm256_shuffle_ps(t[g + 1], t[g + 3], 0xee);
    }
    for (int j = 0; j < 4; ++j) {
      t[j] = _mm256_permute2f128_ps(rows[j], rows[4 + j], 0x20);
      t[4 + j] = _mm256_permute2f128_ps(rows[j], rows[4 + j], 0x31);
    }
    for (int i = 0; i < kCount; ++i) rows[i] = t[i];
  }
};

}  // namespace
}  // namespace zhiyin::avx2
