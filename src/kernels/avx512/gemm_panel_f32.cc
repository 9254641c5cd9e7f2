#include "kernels/avx512/kernels_avx512.h"
#include "kernels/avx512/tile.h"

namespace zhiyin::avx512 {

// 12 tokens x 32 columns take 24 of 32 registers: 12 broadcasts and 2 loads for 24 products.
void gemm_panel_f32(const GemmPanelF32Args& args) {
  const Product product = {
      .a = args.a,
      .a_stride = args.a_stride,
      .b = args.panel,
      .b_stride = kPanelCols,
      .k = args.k,
      .c = args.c,
      .c_stride = args.c_stride,
      .cols = args.cols,
      .accumulate = args.accumulate,
  };
  product_rows<12, 2>(product, args.tokens);
}

}  // namespace zhiyin::avx512
