#include <immintrin.h>

#include "kernels/avx512/kernels_avx512.h"
#include "kernels/probe_chains.h"

namespace zhiyin::avx512 {

int64_t probe_f32(int64_t rounds) {
  const __m512 one = _mm512_set1_ps(1.0f);
  run_chains(rounds, one, [&](__m512 a) { return _mm512_fmadd_ps(one, one, a); });
  return rounds * kProbeChains * 16 * 2;
}

int64_t probe_bf16(int64_t rounds) {
  const __m512i ones = _mm512_set1_epi16(0x3F80);
  const auto pairs = reinterpret_cast<__m512bh>(ones);
  run_chains(rounds, _mm512_setzero_ps(),
             [&](__m512 a) { return _mm512_dpbf16_ps(a, pairs, pairs); });
  return rounds * kProbeChains * 32 * 2;
}

int64_t probe_int8(int64_t rounds) {
  const __m512i ones = _mm512_set1_epi8(1);
  run_chains(rounds, ones, [&](__m512i a) { return _mm512_dpbusd_epi32(a, ones, ones); });
  return rounds * kProbeChains * 64 * 2;
}

}  // namespace zhiyin::avx512
