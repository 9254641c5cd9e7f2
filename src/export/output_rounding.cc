#include "export/output_rounding.h"

#include <algorithm>
#include <cmath>

#include "ops/product.h"

namespace zhiyin {
namespace {

// Share of the mean of the diagonal that is added to it: what inputs never seen may do.
constexpr float kDamping = 0.01f;
constexpr int kMostSweeps = 6;

}  // namespace

OutputRounding::OutputRounding(Context& context, const Tensor& inputs)
    : context_(context), width_(inputs.dim(1)) {
  Tensor products = Tensor::empty(context, {width_, width_});
  Tensor copy;
  const RowsView rows = rows_view(inputs, copy);
  multiply_outer(context, rows, rows, products.data(), /*accumulate=*/false);
  const float share = 1.0f / static_cast<float>(rows.rows);
  double trace = 0;
  for (int64_t i = 0; i < width_; ++i) {
    float* row = products.row(i);
    for (int64_t k = 0; k < width_; ++k) row[k] *= share;
    trace += static_cast<double>(row[i]);
  }
  const float damping = kDamping * static_cast<float>(trace / static_cast<double>(width_)) + 1e-12f;
  for (int64_t i = 0; i < width_; ++i) products.row(i)[i] += damping;
  products_ = Matrix(products);
}

void OutputRounding::refine(Format format, uint8_t* packed, const float* targets,
                            int64_t rows) const {
  const KernelTable& kernels = context_.kernels();
  const int64_t bytes = row_bytes(format, width_);
  Tensor errors = Tensor::empty(context_, {rows, width_});
  Tensor gradients = Tensor::empty(context_, {rows, width_});
  context_.pool().parallel_for(rows, 4, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      kernels.unpack(format, packed + i * bytes, errors.row(i), width_);
      kernels.axpy(-1.0f, targets + i * width_, errors.row(i), width_);
    }
  });
  multiply(context_, {errors.data(), rows, width_, width_}, products_, gradients.data(), width_);
  context_.pool().parallel_for(rows, 1, [&](int64_t begin, int64_t end) {
    RowCodes row;
    for (int64_t i = begin; i < end; ++i) {
      refine_row(format, packed + i * bytes, gradients.row(i), row);
    }
  });
}

void OutputRounding::refine_row(Format format, uint8_t* packed, float* gradient,
                                RowCodes& row) const {
  read_codes(format, packed, width_, row);
  const Tensor& products = products_.tensor();
  for (int sweep = 0; sweep < kMostSweeps; ++sweep) {
    int64_t changed = 0;
    for (int64_t j = 0; j < width_; ++j) {
      const auto at = static_cast<size_t>(j);
      const float* column = products.row(j);  // of a symmetric matrix
      const float step = std::fabs(row.steps[at]);
      // A step against the gradient changes the error by step (step own - 2 |gradient|).
      if (step == 0 || step * column[j] >= 2 * std::fabs(gradient[j])) continue;
      const bool up = (gradient[j] < 0) == (row.steps[at] > 0);
      const int code = row.codes[at] + (up ? 1 : -1);
      if (code < row.least || code > row.most) continue;
      row.codes[at] = static_cast<int16_t>(code);
      context_.kernels().axpy(up ? row.steps[at] : -row.steps[at], column, gradient, width_);
      ++changed;
    }
    if (changed == 0) break;
  }
  write_codes(format, row, packed, width_);
}

}  // namespace zhiyin
