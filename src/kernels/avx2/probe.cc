#include <immintrin.h>

#include "kernels/avx2/kernels_avx2.h"
#include "kernels/probe_chains.h"

namespace zhiyin::avx2 {

int64_t probe_f32(int64_t rounds) {
  const __m256 one = _mm256_set1_ps(1.0f);
  run_chains(rounds, one, [&](__m256 a) { return _mm256_fmadd_ps(one, one, a); });
  return rounds * kProbeChains * 8 * 2;
}

// Products of bytes, their sums in pairs, those again in pairs: the three steps to 32 bits.
int64_t probe_int8(int64_t rounds) {
  const __m256i bytes = _mm256_set1_epi8(1), pairs = _mm256_set1_epi16(1);
  run_chains(rounds, bytes, [&](__m256i a) {
    return _mm256_add_epi32(a, _mm256_madd_epi16(_mm256_maddubs_epi16(a, bytes), pairs));
  });
  return rounds * kProbeChains * 32 * 2;
}

}  // namespace zhiyin::avx2
