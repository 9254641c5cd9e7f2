#include <immintrin.h>

#include "kernels/avx512/kernels_avx512.h"
#include "kernels/avx512/lanes.h"

namespace zhiyin::avx512 {

// Subnormal numbers become zero here, as in the product itself.
void blocks_from_rows_bf16(const BlocksFromRowsArgs& args) {
  for (int64_t r = 0; r < kBlockRows; ++r) {
    const float* x = args.x + r * args.x_stride;
    uint16_t* target = args.blocks + r * kPanelCols;
    for (int64_t i = 0; i < args.cols; i += kPanelCols, target += kBlockRows * kPanelCols) {
      __m512bh both = (__m512bh)_mm512_setzero_si512();
      if (r < args.rows) {
        const Lanes::Some low(args.cols - i), high(args.cols - i - Lanes::kCount);
        both =
            _mm512_cvtne2ps_pbh(Lanes::load(x + i + Lanes::kCount, high), Lanes::load(x + i, low));
      }
      _mm512_store_si512(target, (__m512i)both);
    }
  }
}

}  // namespace zhiyin::avx512
