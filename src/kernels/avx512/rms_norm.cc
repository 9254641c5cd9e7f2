#include <cmath>

#include "kernels/avx512/kernels_avx512.h"
#include "kernels/avx512/lanes.h"

namespace zhiyin::avx512 {

float rms_norm(const float* x, const float* w, float epsilon, float* y, int64_t n) {
  const float mean = dot(x, x, n) / static_cast<float>(n);
  const float factor = 1.0f / sqrtf(mean + epsilon);
  const __m512 f = _mm512_set1_ps(factor);
  for_lanes(n, [&](int64_t i, __mmask16 mask) {
    store(y + i, mask, _mm512_mul_ps(_mm512_mul_ps(load(x + i, mask), f), load(w + i, mask)));
  });
  return factor;
}

}  // namespace zhiyin::avx512
