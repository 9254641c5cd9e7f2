#include <immintrin.h>

#include "kernels/avx512/kernels_avx512.h"

namespace zhiyin::avx512 {

void panel_from_block(const PanelFromBlockArgs& args) {
  // Values i of two rows side by side: those of the first half of the columns, then of the second.
  alignas(64) uint16_t order[2][kPanelCols];
  for (int i = 0; i < kPanelCols; ++i) {
    order[0][i] = static_cast<uint16_t>(i / 2 + i % 2 * kPanelCols);
    order[1][i] = static_cast<uint16_t>(order[0][i] + kPanelCols / 2);
  }
  const __m512i low = _mm512_load_si512(order[0]), high = _mm512_load_si512(order[1]);
  for (int64_t r = 0; r < kBlockRows; r += 2) {
    const __m512i even = _mm512_load_si512(args.block + r * kPanelCols);
    const __m512i odd = _mm512_load_si512(args.block + (r + 1) * kPanelCols);
    uint16_t* target = args.panel + r * kPanelCols;
    _mm512_store_si512(target, _mm512_permutex2var_epi16(even, low, odd));
    _mm512_store_si512(target + kPanelCols, _mm512_permutex2var_epi16(even, high, odd));
  }
}

}  // namespace zhiyin::avx512
