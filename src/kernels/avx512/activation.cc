#include "kernels/avx512/kernels_avx512.h"
#include "kernels/avx512/lanes.h"

namespace zhiyin::avx512 {

void silu(const float* x, float* y, int64_t n) {
  for_lanes(n, [&](int64_t i, __mmask16 mask) {
    const __m512 v = load(x + i, mask);
    store(y + i, mask, _mm512_mul_ps(v, sigmoid(v)));
  });
}

void swiglu(const float* gate, const float* up, float* y, int64_t n) {
  for_lanes(n, [&](int64_t i, __mmask16 mask) {
    const __m512 g = load(gate + i, mask);
    store(y + i, mask, _mm512_mul_ps(_mm512_mul_ps(g, sigmoid(g)), load(up + i, mask)));
  });
}

void swiglu_backward(const float* gate, const float* up, const float* dy, float* d_gate,
                     float* d_up, int64_t n) {
  const __m512 one = _mm512_set1_ps(1.0f);
  for_lanes(n, [&](int64_t i, __mmask16 mask) {
    const __m512 g = load(gate + i, mask);
    const __m512 u = load(up + i, mask);
    const __m512 d = load(dy + i, mask);
    const __m512 s = sigmoid(g);
    const __m512 silu_g = _mm512_mul_ps(g, s);
    const __m512 d_silu = _mm512_fmadd_ps(silu_g, _mm512_sub_ps(one, s), s);
    store(d_up + i, mask, _mm512_mul_ps(d, silu_g));
    store(d_gate + i, mask, _mm512_mul_ps(_mm512_mul_ps(d, u), d_silu));
  });
}

}  // namespace zhiyin::avx512
