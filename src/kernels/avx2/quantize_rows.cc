#include <immintrin.h>

#include "kernels/avx2/kernels_avx2.h"
#include "kernels/quantize_rows_driver.h"

namespace zhiyin::avx2 {
namespace {

// The largest of eight numbers.
uint32_t max_lane(__m256i value) {
  __m128i four = _mm_max_epu32(_mm256_castsi256_si128(value), _mm256_extracti128_si256(value, 1));
  four = _mm_max_epu32(four, _mm_shuffle_epi32(four, 0x4E));
  four = _mm_max_epu32(four, _mm_shuffle_epi32(four, 0xB1));
  return static_cast<uint32_t>(_mm_cvtsi128_si32(four));
}

// 32 numbers as bytes. Packing works within halves of a vector; the permutation restores the order
// of four bytes each.
__m256i to_bytes(const __m256i v[4]) {
  return _mm256_permutevar8x32_epi32(
      _mm256_packs_epi16(_mm256_packs_epi32(v[0], v[1]), _mm256_packs_epi32(v[2], v[3])),
      _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7));
}

int sum_bytes(__m256i bytes) {
  // Sums of eight bytes each, taken as unsigned with 128 added.
  const __m256i eights =
      _mm256_sad_epu8(_mm256_xor_si256(bytes, _mm256_set1_epi8(-128)), _mm256_setzero_si256());
  const __m128i pairs =
      _mm_add_epi64(_mm256_castsi256_si128(eights), _mm256_extracti128_si256(eights, 1));
  return _mm_cvtsi128_si32(_mm_add_epi64(pairs, _mm_unpackhi_epi64(pairs, pairs))) - 32 * 128;
}

void quantize_block(const float* x, int8_t* q, int8_t* low, float* scale, int32_t* sum) {
  __m256 values[4];
  __m256i max_bits = _mm256_setzero_si256();
  for (int i = 0; i < 4; ++i) {
    values[i] = _mm256_loadu_ps(x + 8 * i);
    // Compared as integers, a NaN is larger than every number and stays.
    max_bits = _mm256_max_epu32(
        max_bits, _mm256_and_si256(_mm256_castps_si256(values[i]), _mm256_set1_epi32(0x7FFFFFFF)));
  }
  const uint32_t bits = max_lane(max_bits);
  float max;
  __builtin_memcpy(&max, &bits, sizeof(max));
  const bool zero = max < kTinyMax;
  const float largest = low == nullptr ? kPlainMax : kFineMax;
  const __m256 inverse = _mm256_set1_ps(zero ? 0.0f : largest / max);
  *scale = zero ? 0.0f : max / largest;
  __m256i high[4], rest[4];
  for (int i = 0; i < 4; ++i) {
    high[i] = _mm256_cvtps_epi32(_mm256_mul_ps(values[i], inverse));
    if (low == nullptr) continue;
    const __m256i v = high[i];
    high[i] = _mm256_srai_epi32(_mm256_add_epi32(v, _mm256_set1_epi32(128)), 8);
    rest[i] = _mm256_max_epi32(_mm256_sub_epi32(v, _mm256_slli_epi32(high[i], 8)),
                               _mm256_set1_epi32(-127));
  }
  const __m256i bytes = to_bytes(high);
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(q), bytes);
  *sum = sum_bytes(bytes);
  if (low == nullptr) return;
  const __m256i low_bytes = to_bytes(rest);
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(low), low_bytes);
  *sum = 256 * *sum + sum_bytes(low_bytes);
}

}  // namespace

void quantize_rows(const float* x, int64_t x_stride, int64_t rows, int64_t cols, Q8Rows out) {
  quantize_rows_by_block(x, x_stride, rows, cols, out, quantize_block);
}

}  // namespace zhiyin::avx2
