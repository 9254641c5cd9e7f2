// Products of many rows with matrices in bf16, in the blocks of kernels.h: prompts and training.
#pragma once

#include <functional>
#include <span>

#include "ops/product.h"

namespace zhiyin {

// Rows that products take together: so many sums of a strip stay in the second-level cache. Beyond,
// panels are made anew.
inline constexpr int64_t kMostBlockedRows = 512;

// Rows of activations, rounded to bf16 once for all products they go into. Copies share the values.
class Bf16Rows {
 public:
  static constexpr int64_t kDepth = 256;  // columns that lie together, but for the last

  Bf16Rows(Context& context, const RowsView& x);
  // Of any content yet.
  Bf16Rows(Context& context, int64_t rows, int64_t cols);

  Context& context() const { return storage_.context(); }
  int64_t rows() const { return rows_; }
  int64_t cols() const { return cols_; }
  // How many columns lie together from k (a multiple of kDepth) on, a multiple of 32.
  int64_t depth(int64_t k) const;
  // Those columns of rows [row, ...), as gemm_blocks_bf16 reads them; row is a multiple of 32.
  const uint16_t* blocks(int64_t row, int64_t k) const;
  uint16_t* blocks(int64_t row, int64_t k);
  // The block of 32 x 32 values from (row, col), both multiples of 32, on.
  const uint16_t* block(int64_t row, int64_t col) const;
  uint16_t* block(int64_t row, int64_t col);

 private:
  int64_t rows_, cols_;
  Tensor storage_;
};

// The other operand of a product, whose panels are made as they are needed.
struct PanelSource {
  // write's first column is a multiple of this.
  int64_t column_step;
  // Rows [k, k + depth), zero past the last, of columns [column, column + cols), as
  // panels[cols / 32 up][depth / 2][32][2]; k is a multiple of Bf16Rows::kDepth.
  std::function<void(int64_t k, int64_t depth, int64_t column, int64_t cols, uint16_t* panels)>
      write;
};
// m [n, k] as the operand of x . m^T, and of dy . m. m must outlive the source.
PanelSource panels_of(Context& context, const Matrix& m);
PanelSource transposed_panels_of(Context& context, const Matrix& m);

// Rows as the operand of a . x.
PanelSource row_panels_of(Context& context, const RowsView& x);

// Rounded rows as the operand of a . x.
PanelSource block_panels_of(const Bf16Rows& x);

struct Bf16Product {
  const Bf16Rows* x;
  PanelSource panels;
};

// y[t, 0..cols) (+)= the sum of products, all of the same number of rows.
void multiply_bf16(std::span<const Bf16Product> products, int64_t cols, float* y, int64_t y_stride,
                   bool accumulate);
void multiply_bf16(const Bf16Rows& x, PanelSource panels, int64_t cols, float* y, int64_t y_stride,
                   bool accumulate);

// Rows [begin, end) of x times columns [column, column + width) of each source, onto what the
// thread's sums hold (accumulate) or in their place: sums[rows / 32 up][source][width / 32 up]
// [32][32] in scratch, until the thread's next product. begin is a multiple of 32.
float* strip_sums(const Bf16Rows& x, std::span<const PanelSource* const> sources, int64_t column,
                  int64_t width, int64_t begin, int64_t end, bool accumulate);

}  // namespace zhiyin
