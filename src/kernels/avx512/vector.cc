#include "kernels/avx512/kernels_avx512.h"
#include "kernels/avx512/lanes.h"

namespace zhiyin::avx512 {

// Four sums hide the latency of the multiply-add.
float dot(const float* a, const float* b, int64_t n) {
  constexpr int kSums = 4;
  __m512 sum[kSums] = {_mm512_setzero_ps(), _mm512_setzero_ps(), _mm512_setzero_ps(),
                       _mm512_setzero_ps()};
  int64_t i = 0;
  for (; i + kSums * kLanes <= n; i += kSums * kLanes) {
#pragma GCC unroll 4
    for (int s = 0; s < kSums; ++s) {
      sum[s] = _mm512_fmadd_ps(_mm512_loadu_ps(a + i + s * kLanes),
                               _mm512_loadu_ps(b + i + s * kLanes), sum[s]);
    }
  }
  for_lanes(n - i, [&](int64_t j, __mmask16 mask) {
    sum[0] = _mm512_fmadd_ps(load(a + i + j, mask), load(b + i + j, mask), sum[0]);
  });
  return sum_lanes(_mm512_add_ps(_mm512_add_ps(sum[0], sum[1]), _mm512_add_ps(sum[2], sum[3])));
}

void axpy(float alpha, const float* x, float* y, int64_t n) {
  const __m512 factor = _mm512_set1_ps(alpha);
  for_lanes(n, [&](int64_t i, __mmask16 mask) {
    store(y + i, mask, _mm512_fmadd_ps(factor, load(x + i, mask), load(y + i, mask)));
  });
}

void scale(float alpha, const float* x, float* y, int64_t n) {
  const __m512 factor = _mm512_set1_ps(alpha);
  for_lanes(n, [&](int64_t i, __mmask16 mask) {
    store(y + i, mask, _mm512_mul_ps(factor, load(x + i, mask)));
  });
}

void add(const float* a, const float* b, float* y, int64_t n) {
  for_lanes(n, [&](int64_t i, __mmask16 mask) {
    store(y + i, mask, _mm512_add_ps(load(a + i, mask), load(b + i, mask)));
  });
}

void mul(const float* a, const float* b, float* y, int64_t n) {
  for_lanes(n, [&](int64_t i, __mmask16 mask) {
    store(y + i, mask, _mm512_mul_ps(load(a + i, mask), load(b + i, mask)));
  });
}

float max(const float* x, int64_t n) {
  __m512 largest = _mm512_set1_ps(x[0]);
  for_lanes(n, [&](int64_t i, __mmask16 mask) {
    largest = _mm512_mask_max_ps(largest, mask, largest, _mm512_maskz_loadu_ps(mask, x + i));
  });
  return max_lanes(largest);
}

}  // namespace zhiyin::avx512
