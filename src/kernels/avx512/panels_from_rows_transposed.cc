#include <immintrin.h>

#include "kernels/avx512/interleave.h"
#include "kernels/avx512/kernels_avx512.h"
#include "kernels/avx512/lanes.h"

namespace zhiyin::avx512 {

void panels_from_rows_transposed(const PanelsFromRowsTransposedArgs& args) {
  // Pair after pair of rows, each from its beginning to its end: as memory is read fastest.
  for (int64_t r = 0; r < args.depth; r += 2) {
    const float* first = args.x + r * args.x_stride;
    uint16_t* target = args.panels + r * kPanelCols;
    for (int64_t c = 0; c < args.cols; c += kPanelCols, target += args.panel_stride) {
      for (int64_t i = 0; i < kPanelCols; i += Lanes::kCount) {
        const Lanes::Some part(args.cols - c - i);
        const __m512 a = r < args.rows ? Lanes::load(first + c + i, part) : _mm512_setzero_ps();
        const __m512 b = r + 1 < args.rows ? Lanes::load(first + args.x_stride + c + i, part)
                                           : _mm512_setzero_ps();
        _mm512_storeu_si512(target + 2 * i, interleave(a, b));
      }
    }
  }
}

}  // namespace zhiyin::avx512
