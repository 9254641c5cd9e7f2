// Products of rows, rounded to integers, with packed weights: what decoding consists of, and
// prompts where the CPU multiplies integers faster than bf16.
#pragma once

#include <algorithm>
#include <span>

#include "ops/product.h"

namespace zhiyin {

// Rows of activations as integers, rounded once for all matrices they are multiplied with.
class IntegerRows {
 public:
  // cols is a multiple of 32; fine: to about 15 bits rather than 8 (kernels.h).
  IntegerRows(Context& context, const RowsView& x, bool fine);
  // Of any content yet.
  IntegerRows(Context& context, int64_t rows, int64_t cols, bool fine);

  Context& context() const { return storage_.context(); }
  int64_t rows() const { return rows_; }
  int64_t cols() const { return cols_; }

  // Takes x[0..count) as columns [begin, begin + count) of row r; both multiples of 32.
  void round(int64_t r, int64_t begin, int64_t count, const float* x);

  // Rows [begin, end) of x . m^T into y[t, row], y_stride apart; begin is a multiple of kPackRows,
  // end too or m's last. m has a packed form.
  void multiply(const Matrix& m, int64_t begin, int64_t end, float* y, int64_t y_stride) const;

 private:
  Q8Rows at(int64_t r, int64_t col) const;

  int64_t rows_, cols_;
  Tensor storage_;
  Q8Rows all_;
};

// Rows in units of which products of few rows are cut for threads: kernels read two groups at a
// time, and a block of activations is as wide.
inline constexpr int64_t kUnitRows = 2 * kPackRows;
static_assert(kUnitRows == kQ8Block);

// Calls body(begin, end) for units of products with so many rows on several threads.
template <typename Body>
void for_pieces(Context& context, int64_t rows, int64_t units, const Body& body) {
  // Very few rows are cut to the unit, since a piece costs nothing to begin. For more rows each
  // piece rearranges them anew, so there are fewer.
  ThreadPool& pool = context.pool();
  pool.parallel_pieces(units, rows > 4 ? std::max<int64_t>(2, units / (pool.threads() * 4)) : 1,
                       body);
}

struct IntegerProduct {
  const Matrix* matrix;
  float* y;  // [rows of x, matrix->rows()]
};
// y = x . matrix^T of each, in one loop.
void multiply_integers(const IntegerRows& x, std::span<const IntegerProduct> products);

// The same of many rows with weights requantised to 8 bits, where kernels have prefill_requantized.
void multiply_requantized(Context& context, const RowsView& x, bool fine,
                          std::span<const IntegerProduct> products);

}  // namespace zhiyin
