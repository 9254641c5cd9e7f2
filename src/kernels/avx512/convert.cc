#include "kernels/avx512/kernels_avx512.h"
#include "kernels/avx512/lanes.h"

namespace zhiyin::avx512 {
namespace {

inline __m256i load16(const uint16_t* x, __mmask16 mask) {
  return _mm256_maskz_loadu_epi16(mask, x);
}
inline void store16(uint16_t* y, __mmask16 mask, __m256i value) {
  _mm256_mask_storeu_epi16(y, mask, value);
}

}  // namespace

void f32_to_f16(const float* x, uint16_t* y, int64_t n) {
  for_lanes(n, [&](int64_t i, __mmask16 mask) {
    store16(y + i, mask, _mm512_cvtps_ph(load(x + i, mask), _MM_FROUND_TO_NEAREST_INT));
  });
}

void f16_to_f32(const uint16_t* x, float* y, int64_t n) {
  for_lanes(n, [&](int64_t i, __mmask16 mask) {
    store(y + i, mask, _mm512_cvtph_ps(load16(x + i, mask)));
  });
}

// Not vcvtneps2bf16, which turns subnormal numbers into zero: a stored value should not depend on
// the CPU that wrote it.
void f32_to_bf16(const float* x, uint16_t* y, int64_t n) {
  const __m512i half = _mm512_set1_epi32(0x7fff);
  const __m512i one = _mm512_set1_epi32(1);
  const __m512i quiet = _mm512_set1_epi32(64);
  for_lanes(n, [&](int64_t i, __mmask16 mask) {
    const __m512 value = load(x + i, mask);
    const __m512i bits = _mm512_castps_si512(value);
    const __m512i upper = _mm512_srli_epi32(bits, 16);
    const __m512i to_even = _mm512_add_epi32(half, _mm512_and_si512(upper, one));
    const __m512i rounded = _mm512_srli_epi32(_mm512_add_epi32(bits, to_even), 16);
    const __mmask16 nan = _mm512_cmp_ps_mask(value, value, _CMP_UNORD_Q);
    const __m512i result = _mm512_mask_or_epi32(rounded, nan, upper, quiet);
    store16(y + i, mask, _mm512_cvtepi32_epi16(result));
  });
}

void bf16_to_f32(const uint16_t* x, float* y, int64_t n) {
  for_lanes(n, [&](int64_t i, __mmask16 mask) {
    const __m512i bits = _mm512_slli_epi32(_mm512_cvtepu16_epi32(load16(x + i, mask)), 16);
    store(y + i, mask, _mm512_castsi512_ps(bits));
  });
}

}  // namespace zhiyin::avx512
