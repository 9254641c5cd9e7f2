// The gated feed-forward block of a prompt in one go. What gate and up give is as wide as several
// hidden states and would go to memory and back three times as f32: here sums become
// silu(gate) * up while they are in the cache, and bf16 for the last product at once.
#include <algorithm>

#include "base/error.h"
#include "ops/product_bf16.h"
#include "ops/product_parts.h"

namespace zhiyin {
namespace {

constexpr int64_t kStripCols = kStripPanels / 2 * kPanelCols;  // of each of both matrices

// The block of 32 columns from k on of silu(gate) * up, for up to 32 rows.
void write_block(const KernelTable& kernels, const float* gate, const float* up, int64_t row,
                 int64_t k, Bf16Rows& out) {
  alignas(64) float product[kBlockRows * kPanelCols];
  const int64_t rows = std::min(kBlockRows, out.rows() - row);
  const int64_t cols = std::min<int64_t>(kPanelCols, out.cols() - k);
  kernels.swiglu(gate, up, product, rows * kPanelCols);
  const int64_t first = k / Bf16Rows::kDepth * Bf16Rows::kDepth;
  kernels.blocks_from_rows_bf16(
      {product, kPanelCols, rows, cols, out.blocks(row, first) + (k - first) * kBlockRows});
}

// silu(gate . x) * up . x
Bf16Rows gated_rows(Context& context, const Bf16Rows& x, const Matrix& gate, const Matrix& up) {
  Bf16Rows out(context, x.rows(), gate.rows());
  const PanelSource gate_panels = panels_of(context, gate), up_panels = panels_of(context, up);
  const PanelSource* const sources[] = {&gate_panels, &up_panels};
  const int64_t strips = (out.cols() + kStripCols - 1) / kStripCols;
  const auto compute = [&](int64_t strip, int64_t begin, int64_t end) {
    const int64_t column = strip * kStripCols, width = std::min(kStripCols, out.cols() - column);
    const float* sums = strip_sums(x, sources, column, width, begin, end, false);
    const int64_t count = (width + kPanelCols - 1) / kPanelCols, block = kBlockRows * kPanelCols;
    for (int64_t row = begin; row < end; row += kBlockRows, sums += 2 * count * block) {
      for (int64_t p = 0; p < count; ++p) {
        write_block(context.kernels(), sums + p * block, sums + (count + p) * block, row,
                    column + p * kPanelCols, out);
      }
    }
  };
  for_strips(context, strips, x.rows(), kMostBlockedRows, compute);
  return out;
}

}  // namespace

bool fuses_gated_mlp(const Tensor& x, const Matrix& gate, const Matrix& up, const Matrix& down) {
  Context& context = x.context();
  const auto fuses = [&](const Matrix& m) {
    return rounds_to_bf16(context, m) && !multiplies_integers(context, m, x.rows());
  };
  return !training() && !few_rows(x.rows()) && fuses(gate) && fuses(up) && fuses(down);
}

Tensor gated_mlp(const Tensor& x, const Matrix& gate, const Matrix& up, const Matrix& down) {
  Context& context = x.context();
  check(gate.shape() == up.shape() && x.dim(-1) == gate.cols() && gate.rows() == down.cols(),
        ErrorCode::kFailed, "gated_mlp: input ", x.shape().text(), ", gate ", gate.shape().text(),
        ", up ", up.shape().text(), " and down ", down.shape().text(), " do not fit");
  Tensor copy;
  const Bf16Rows inside = gated_rows(context, Bf16Rows(context, rows_view(x, copy)), gate, up);
  Tensor y = Tensor::empty(context, x.shape().with_last(down.rows()));
  multiply_bf16(inside, panels_of(context, down), down.rows(), y.data(), down.rows(), false);
  return y;
}

}  // namespace zhiyin
