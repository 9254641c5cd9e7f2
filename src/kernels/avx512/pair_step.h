// A step of the bf16 products: two of k for kRows rows and the 32 columns of a panel.
#pragma once

#include <immintrin.h>

#include <cstdint>

#include "kernels/kernels.h"

namespace zhiyin::avx512 {
namespace {

// sum[r] += the pair at row(r) . the panel's pair of rows
template <int kRows, typename Row>
[[gnu::always_inline]] inline void add_pair(const uint16_t* panel, const Row& row,
                                            __m512 (&sum)[kRows][2]) {
  const auto left = (__m512bh)_mm512_loadu_si512(panel);
  const auto right = (__m512bh)_mm512_loadu_si512(panel + kPanelCols);
#pragma GCC unroll 16
  for (int r = 0; r < kRows; ++r) {
    int32_t pair;
    __builtin_memcpy(&pair, row(r), sizeof pair);
    const auto x = (__m512bh)_mm512_set1_epi32(pair);
    sum[r][0] = _mm512_dpbf16_ps(sum[r][0], x, left);
    sum[r][1] = _mm512_dpbf16_ps(sum[r][1], x, right);
  }
}

}  // namespace
}  // namespace zhiyin::avx512
