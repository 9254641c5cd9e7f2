#include <cassert>

#include "kernels/ref/kernels_ref.h"
#include "quant/formats.h"

namespace zhiyin::ref {
namespace {

void store(const float* sum, int cols, bool accumulate, float* c) {
  for (int j = 0; j < cols; ++j) c[j] = accumulate ? c[j] + sum[j] : sum[j];
}

}  // namespace

void gemm_panel_f32(const GemmPanelF32Args& args) {
  for (int64_t t = 0; t < args.tokens; ++t) {
    const float* a = args.a + t * args.a_stride;
    float sum[kPanelCols] = {};
    for (int64_t k = 0; k < args.k; ++k) {
      const float* row = args.panel + k * kPanelCols;
      for (int j = 0; j < kPanelCols; ++j) sum[j] += a[k] * row[j];
    }
    store(sum, args.cols, args.accumulate, args.c + t * args.c_stride);
  }
}

void gemm_panel_bf16(const GemmPanelBf16Args& args) {
  assert(args.k % 2 == 0);
  for (int64_t t = 0; t < args.tokens; ++t) {
    const uint16_t* a = args.a + t * args.a_stride;
    float sum[kPanelCols] = {};
    for (int64_t k = 0; k < args.k; k += 2) {
      const float a0 = bfloat16_to_float(a[k]);
      const float a1 = bfloat16_to_float(a[k + 1]);
      const uint16_t* pairs = args.panel + k * kPanelCols;
      for (int j = 0; j < kPanelCols; ++j) {
        sum[j] += a0 * bfloat16_to_float(pairs[2 * j]) + a1 * bfloat16_to_float(pairs[2 * j + 1]);
      }
    }
    store(sum, args.cols, args.accumulate, args.c + t * args.c_stride);
  }
}

void panel_from_rows_f32(const float* rows, int64_t stride, int cols, int64_t k, float* panel) {
  for (int64_t i = 0; i < k; ++i) {
    for (int j = 0; j < kPanelCols; ++j) {
      panel[i * kPanelCols + j] = j < cols ? rows[j * stride + i] : 0.0f;
    }
  }
}

void panel_from_rows_bf16(const float* rows, int64_t stride, int cols, int64_t k, uint16_t* panel) {
  assert(k % 2 == 0);
  for (int64_t i = 0; i < k; i += 2) {
    uint16_t* pairs = panel + i * kPanelCols;
    for (int j = 0; j < kPanelCols; ++j) {
      pairs[2 * j] = j < cols ? float_to_bfloat16(rows[j * stride + i]) : uint16_t{0};
      pairs[2 * j + 1] = j < cols ? float_to_bfloat16(rows[j * stride + i + 1]) : uint16_t{0};
    }
  }
}

void panels_from_rows_transposed(const PanelsFromRowsTransposedArgs& args) {
  for (int64_t c = 0; c < args.cols; c += kPanelCols) {
    uint16_t* panel = args.panels + c / kPanelCols * args.panel_stride;
    for (int64_t r = 0; r < args.depth; ++r) {
      uint16_t* pairs = panel + r / 2 * 2 * kPanelCols + r % 2;
      for (int64_t j = 0; j < kPanelCols; ++j) {
        const bool inside = r < args.rows && c + j < args.cols;
        pairs[2 * j] = inside ? float_to_bfloat16(args.x[r * args.x_stride + c + j]) : uint16_t{0};
      }
    }
  }
}

}  // namespace zhiyin::ref
