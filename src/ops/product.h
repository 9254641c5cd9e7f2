// Dense products of rows with a matrix, in three orientations, split over the threads of a context.
// Used by linear, embedding-tied heads and losses; not by models.
#pragma once

#include "ops/ops.h"

namespace zhiyin {

// Rows of floats: row r at data + r * stride.
struct RowsView {
  const float* data;
  int64_t rows, cols, stride;
};
// x as rows; copied into `copy` where its strides are irregular.
RowsView rows_view(const Tensor& x, Tensor& copy);

// Whether products with this matrix round activations and weights to bf16: its own values have no
// more precision to lose, and the context is not asked to be exact.
bool rounds_to_bf16(const Context& context, const Matrix& m);
// Whether x . m goes through the integer product of packed weights.
bool multiplies_integers(const Context& context, const Matrix& m, int64_t rows);
// Whether so few rows are multiplied one by one, without panels.
bool few_rows(int64_t rows);

// y[t, n] = sum_k x[t, k] m[n, k]; y row-major with y_stride.
void multiply(Context& context, const RowsView& x, const Matrix& m, float* y, int64_t y_stride);
// dx[t, k] (+)= sum_n dy[t, n] m[n, k]
void multiply_transposed(Context& context, const RowsView& dy, const Matrix& m, float* dx,
                         int64_t dx_stride, bool accumulate);
// dm[n, k] (+)= sum_t dy[t, n] x[t, k]; bf16: of rounded values
void multiply_outer(Context& context, const RowsView& dy, const RowsView& x, float* dm,
                    bool accumulate, bool bf16 = false);

}  // namespace zhiyin
