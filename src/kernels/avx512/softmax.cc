#include "kernels/avx512/kernels_avx512.h"
#include "kernels/avx512/lanes.h"

namespace zhiyin::avx512 {

float exp_sum(const float* x, float shift, float* y, int64_t n) {
  const __m512 offset = _mm512_set1_ps(shift);
  __m512 sum = _mm512_setzero_ps();
  for_lanes(n, [&](int64_t i, __mmask16 mask) {
    const __m512 value = exp(_mm512_sub_ps(load(x + i, mask), offset));
    store(y + i, mask, value);
    sum = _mm512_mask_add_ps(sum, mask, sum, value);
  });
  return sum_lanes(sum);
}

void softmax(const float* x, float factor, float* y, int64_t n) {
  scale(factor, x, y, n);
  const float sum = exp_sum(y, max(y, n), y, n);
  scale(1.0f / sum, y, y, n);
}

}  // namespace zhiyin::avx512
