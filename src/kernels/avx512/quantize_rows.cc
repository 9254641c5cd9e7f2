#include <immintrin.h>

#include "kernels/avx512/kernels_avx512.h"
#include "kernels/quantize_rows_driver.h"

namespace zhiyin::avx512 {
namespace {

// Sum of 32 bytes.
int sum_bytes(__m128i q0, __m128i q1) {
  const __m128i ones = _mm_set1_epi8(1);
  const __m128i four = _mm_dpbusd_epi32(_mm_dpbusd_epi32(_mm_setzero_si128(), ones, q0), ones, q1);
  const __m128i two = _mm_add_epi32(four, _mm_shuffle_epi32(four, 0x4E));
  return _mm_cvtsi128_si32(_mm_add_epi32(two, _mm_shuffle_epi32(two, 0xB1)));
}

void store(int8_t* q, __m128i q0, __m128i q1) {
  _mm_storeu_si128(reinterpret_cast<__m128i*>(q), q0);
  _mm_storeu_si128(reinterpret_cast<__m128i*>(q + 16), q1);
}

void quantize_block(const float* x, int8_t* q, int8_t* low, float* scale, int32_t* sum) {
  const __m512 x0 = _mm512_loadu_ps(x), x1 = _mm512_loadu_ps(x + 16);
  const __m512i magnitude = _mm512_set1_epi32(0x7FFFFFFF);
  // Compared as integers, a NaN is larger than every number and stays.
  const __m512i max_bits = _mm512_max_epu32(_mm512_and_si512(_mm512_castps_si512(x0), magnitude),
                                            _mm512_and_si512(_mm512_castps_si512(x1), magnitude));
  const uint32_t bits = _mm512_reduce_max_epu32(max_bits);
  float max;
  __builtin_memcpy(&max, &bits, sizeof(max));
  const bool zero = max < kTinyMax;
  const float largest = low == nullptr ? kPlainMax : kFineMax;
  const __m512 inverse = _mm512_set1_ps(zero ? 0.0f : largest / max);
  *scale = zero ? 0.0f : max / largest;
  const __m512i v0 = _mm512_cvtps_epi32(_mm512_mul_ps(x0, inverse));
  const __m512i v1 = _mm512_cvtps_epi32(_mm512_mul_ps(x1, inverse));
  if (low == nullptr) {
    const __m128i q0 = _mm512_cvtsepi32_epi8(v0), q1 = _mm512_cvtsepi32_epi8(v1);
    store(q, q0, q1);
    *sum = sum_bytes(q0, q1);
    return;
  }
  const __m512i half = _mm512_set1_epi32(128), least = _mm512_set1_epi32(-127);
  const auto high_of = [&](__m512i v) { return _mm512_srai_epi32(_mm512_add_epi32(v, half), 8); };
  const auto low_of = [&](__m512i v, __m512i high) {
    return _mm512_max_epi32(_mm512_sub_epi32(v, _mm512_slli_epi32(high, 8)), least);
  };
  const __m512i high0 = high_of(v0), high1 = high_of(v1);
  const __m128i q0 = _mm512_cvtsepi32_epi8(high0), q1 = _mm512_cvtsepi32_epi8(high1);
  const __m128i low0 = _mm512_cvtsepi32_epi8(low_of(v0, high0));
  const __m128i low1 = _mm512_cvtsepi32_epi8(low_of(v1, high1));
  store(q, q0, q1);
  store(low, low0, low1);
  *sum = 256 * sum_bytes(q0, q1) + sum_bytes(low0, low1);
}

}  // namespace

void quantize_rows(const float* x, int64_t x_stride, int64_t rows, int64_t cols, Q8Rows out) {
  quantize_rows_by_block(x, x_stride, rows, cols, out, quantize_block);
}

void q8_tiles_from_rows(const float* x, int64_t x_stride, int64_t rows,
                        const Q8TileLayout& layout, uint8_t* tiles) {
  q8_tiles_by_block(x, x_stride, rows, layout, tiles, quantize_block);
}

}  // namespace zhiyin::avx512
