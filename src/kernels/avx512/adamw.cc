#include <cmath>

#include "kernels/avx512/kernels_avx512.h"
#include "kernels/avx512/lanes.h"

namespace zhiyin::avx512 {

void adamw(const AdamWArgs& args) {
  const __m512 decay = _mm512_set1_ps(1.0f - args.rate * args.weight_decay);
  const __m512 step = _mm512_set1_ps(args.rate / args.bias1);
  const __m512 root_bias2 = _mm512_set1_ps(sqrtf(args.bias2));
  const __m512 epsilon = _mm512_set1_ps(args.epsilon);
  const __m512 new_m = _mm512_set1_ps(1.0f - args.beta1);
  const __m512 keep_v = _mm512_set1_ps(args.beta2);
  const __m512 new_v = _mm512_set1_ps(1.0f - args.beta2);
  const __m512 gradient_scale = _mm512_set1_ps(args.gradient_scale);
  for_lanes(args.n, [&](int64_t i, __mmask16 mask) {
    const __m512 g = _mm512_mul_ps(load(args.gradient + i, mask), gradient_scale);
    const __m512 old_m = load(args.m + i, mask);
    const __m512 m = _mm512_fmadd_ps(new_m, _mm512_sub_ps(g, old_m), old_m);
    const __m512 v =
        _mm512_fmadd_ps(_mm512_mul_ps(new_v, g), g, _mm512_mul_ps(keep_v, load(args.v + i, mask)));
    const __m512 divisor = _mm512_add_ps(_mm512_div_ps(_mm512_sqrt_ps(v), root_bias2), epsilon);
    const __m512 change = _mm512_div_ps(_mm512_mul_ps(step, m), divisor);
    store(args.m + i, mask, m);
    store(args.v + i, mask, v);
    store(args.parameter + i, mask, _mm512_fmsub_ps(load(args.parameter + i, mask), decay, change));
  });
}

}  // namespace zhiyin::avx512
