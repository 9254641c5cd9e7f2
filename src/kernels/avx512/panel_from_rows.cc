#include <cassert>

#include "kernels/avx512/kernels_avx512.h"
#include "kernels/avx512/lanes.h"

namespace zhiyin::avx512 {
namespace {

// Rounds the even and the odd elements of 32 floats to bfloat16, in their order.
inline __m512i round_pairs(const float* row, int64_t n) {
  const __m512 low = load(row, first_lanes(n));
  const __m512 high = load(row + kLanes, first_lanes(n - kLanes));
  return (__m512i)_mm512_cvtne2ps_pbh(high, low);
}

}  // namespace

void panel_from_rows_f32(const float* rows, int64_t stride, int cols, int64_t k, float* panel) {
  for (int64_t i = 0; i < k; i += kLanes) {
    const int64_t depth = k - i < kLanes ? k - i : kLanes;
    const __mmask16 mask = first_lanes(depth);
    for (int64_t j = 0; j < kPanelCols; j += kLanes) {
      __m512i block[kLanes];
      for (int64_t r = 0; r < kLanes; ++r) {
        const __mmask16 row_mask = j + r < cols ? mask : __mmask16{0};
        block[r] = _mm512_castps_si512(load(rows + (j + r) * stride + i, row_mask));
      }
      transpose(block);
      for (int64_t r = 0; r < kLanes; ++r) {
        if (r < depth) _mm512_storeu_si512(panel + (i + r) * kPanelCols + j, block[r]);
      }
    }
  }
}

void panel_from_rows_bf16(const float* rows, int64_t stride, int cols, int64_t k, uint16_t* panel) {
  assert(k % 2 == 0);
  constexpr int64_t kDepth = 2 * kLanes;
  for (int64_t i = 0; i < k; i += kDepth) {
    const int64_t depth = k - i < kDepth ? k - i : kDepth;
    for (int64_t j = 0; j < kPanelCols; j += kLanes) {
      __m512i block[kLanes];
      for (int64_t r = 0; r < kLanes; ++r) {
        block[r] =
            j + r < cols ? round_pairs(rows + (j + r) * stride + i, depth) : _mm512_setzero_si512();
      }
      transpose(block);
      for (int64_t r = 0; r < kLanes; ++r) {
        if (2 * r < depth) {
          _mm512_storeu_si512(panel + (i + 2 * r) * kPanelCols + 2 * j, block[r]);
        }
      }
    }
  }
}

}  // namespace zhiyin::avx512
