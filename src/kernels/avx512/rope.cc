#include "kernels/avx512/kernels_avx512.h"
#include "kernels/avx512/lanes.h"

namespace zhiyin::avx512 {
namespace {

// Pairs (i, i + half).
void rotate_halves(float* x, const float* cos, const float* sin, int64_t half) {
  for_lanes(half, [&](int64_t i, __mmask16 mask) {
    const __m512 a = load(x + i, mask);
    const __m512 b = load(x + half + i, mask);
    const __m512 c = load(cos + i, mask);
    const __m512 s = load(sin + i, mask);
    store(x + i, mask, _mm512_fmsub_ps(a, c, _mm512_mul_ps(b, s)));
    store(x + half + i, mask, _mm512_fmadd_ps(a, s, _mm512_mul_ps(b, c)));
  });
}

// Pairs (2 i, 2 i + 1): each angle is spread over its two lanes.
void rotate_pairs(float* x, const float* cos, const float* sin, int64_t half) {
  const __m512i twice = _mm512_set_epi32(7, 7, 6, 6, 5, 5, 4, 4, 3, 3, 2, 2, 1, 1, 0, 0);
  for_lanes(2 * half, [&](int64_t i, __mmask16 mask) {
    const __mmask16 angles = first_lanes(half - i / 2 < 8 ? half - i / 2 : 8);
    const __m512 c = _mm512_permutexvar_ps(twice, load(cos + i / 2, angles));
    const __m512 s = _mm512_permutexvar_ps(twice, load(sin + i / 2, angles));
    const __m512 pairs = load(x + i, mask);
    const __m512 swapped = _mm512_permute_ps(pairs, 0xb1);
    // Even lanes subtract, odd lanes add.
    store(x + i, mask, _mm512_fmaddsub_ps(pairs, c, _mm512_mul_ps(swapped, s)));
  });
}

}  // namespace

void rope(const RopeArgs& args) {
  const auto rotate = args.adjacent ? rotate_pairs : rotate_halves;
  for (int64_t h = 0; h < args.heads; ++h) {
    rotate(args.x + h * args.head_dim, args.cos, args.sin, args.rotary_dim / 2);
  }
}

}  // namespace zhiyin::avx512
