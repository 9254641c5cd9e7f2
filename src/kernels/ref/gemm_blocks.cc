#include <cassert>

#include "kernels/ref/kernels_ref.h"
#include "quant/formats.h"

namespace zhiyin::ref {

void blocks_from_rows_bf16(const BlocksFromRowsArgs& args) {
  uint16_t* target = args.blocks;
  for (int64_t k = 0; k < args.cols; k += kPanelCols) {
    for (int64_t r = 0; r < kBlockRows; ++r) {
      for (int64_t i = k; i < k + kPanelCols; ++i) {
        const bool inside = r < args.rows && i < args.cols;
        *target++ = inside ? float_to_bfloat16(args.x[r * args.x_stride + i]) : uint16_t{0};
      }
    }
  }
}

void panel_from_block(const PanelFromBlockArgs& args) {
  for (int64_t r = 0; r < kBlockRows; ++r) {
    for (int64_t j = 0; j < kPanelCols; ++j) {
      args.panel[(r / 2 * kPanelCols + j) * 2 + r % 2] = args.block[r * kPanelCols + j];
    }
  }
}

void gemm_blocks_bf16(const GemmBlocksBf16Args& args) {
  assert(args.depth % kPanelCols == 0);
  for (int64_t row = 0; row < args.rows; row += kBlockRows) {
    for (int64_t p = 0; p < args.count; ++p) {
      float* sums = args.sums + (row * args.count + p * kBlockRows) * kPanelCols;
      for (int64_t step = 0; step < args.depth; step += kPanelCols) {
        gemm_panel_bf16({args.blocks + row * args.depth + step * kBlockRows, kPanelCols,
                         args.panels + (p * args.depth + step) * kPanelCols, kPanelCols, kBlockRows,
                         sums, kPanelCols, kPanelCols, args.accumulate || step > 0});
      }
    }
  }
}

void rows_from_sums(const RowsFromSumsArgs& args) {
  const int64_t count = (args.cols + kPanelCols - 1) / kPanelCols;
  for (int64_t r = 0; r < args.rows; ++r) {
    const float* sums =
        args.sums + (r / kBlockRows * count * kBlockRows + r % kBlockRows) * kPanelCols;
    float* y = args.y + r * args.y_stride;
    for (int64_t j = 0; j < args.cols; ++j) {
      const float sum = sums[j / kPanelCols * kBlockRows * kPanelCols + j % kPanelCols];
      y[j] = args.accumulate ? y[j] + sum : sum;
    }
  }
}

}  // namespace zhiyin::ref
