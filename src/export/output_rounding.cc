#include "export/output_rounding.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "ops/cholesky.h"
#include "ops/product.h"

namespace zhiyin {
namespace {

// Share of the mean of the diagonal that is added to it: what inputs never seen may do.
constexpr float kDamping = 0.01f;
constexpr int kMostSweeps = 6;
// Columns whose push on the columns before them is summed up at once.
constexpr int64_t kBand = 128;

}  // namespace

// Before a column is decided its error is what the codes of now leave; after, what the new code
// leaves, and the columns before it answer for that.
struct OutputRounding::Walk {
  std::vector<RowCodes> rows;
  Tensor errors;  // target - value, [rows, in], in the order of the walk
  Tensor pulls;   // [rows, in], undefined: none
};

OutputRounding::OutputRounding(Context& context, const LayerView& view)
    : context_(context), width_(view.exported.dim(1)), order_(static_cast<size_t>(width_)) {
  sum_products(view.exported);
  factorise();
  const float share = 1.0f / static_cast<float>(view.exported.dim(0));
  const auto products_with = [&](const Tensor& y) {
    Tensor result = Tensor::empty(context, {y.dim(1), width_});
    Tensor copy_y, copy_x;
    multiply_outer(context, rows_view(y, copy_y), rows_view(view.exported, copy_x), result.data(),
                   /*accumulate=*/false);
    return scale(result, share);
  };
  if (view.tuned.data() != view.exported.data()) {
    drift_ = products_with(add(view.tuned, scale(view.exported, -1.0f)));
  }
  if (view.owed.defined()) owed_ = products_with(view.owed);
}

void OutputRounding::sum_products(const Tensor& inputs) {
  Tensor products = Tensor::empty(context_, {width_, width_});
  Tensor copy;
  const RowsView rows = rows_view(inputs, copy);
  // The upper half, in bands; the lower is its mirror.
  constexpr int64_t kRows = 512;
  for (int64_t begin = 0; begin < width_; begin += kRows) {
    const int64_t count = std::min(kRows, width_ - begin), cols = width_ - begin;
    Tensor band = Tensor::empty(context_, {count, cols});
    multiply_outer(context_, {rows.data + begin, rows.rows, count, rows.stride},
                   {rows.data + begin, rows.rows, cols, rows.stride}, band.data(),
                   /*accumulate=*/false);
    context_.pool().parallel_for(count, 16, [&](int64_t first, int64_t last) {
      for (int64_t k = 0; k < cols; ++k) {
        for (int64_t i = first; i < last; ++i) {
          if (k >= i) products.row(begin + k)[begin + i] = band.row(i)[k];
        }
      }
      for (int64_t i = first; i < last; ++i) {
        std::copy(band.row(i) + i, band.row(i) + cols, products.row(begin + i) + begin + i);
      }
    });
  }
  const float share = 1.0f / static_cast<float>(rows.rows);
  double trace = 0;
  for (int64_t i = 0; i < width_; ++i) {
    float* row = products.row(i);
    context_.kernels().scale(share, row, row, width_);
    trace += static_cast<double>(row[i]);
  }
  const float damping = kDamping * static_cast<float>(trace / static_cast<double>(width_)) + 1e-12f;
  for (int64_t i = 0; i < width_; ++i) products.row(i)[i] += damping;
  products_ = Matrix(products);
}

void OutputRounding::factorise() {
  const Tensor& products = products_.tensor();
  std::iota(order_.begin(), order_.end(), int64_t{0});
  std::ranges::sort(order_, [&](int64_t a, int64_t b) {
    const float x = products.row(a)[a], y = products.row(b)[b];
    return x != y ? x < y : a < b;
  });
  Tensor ordered = Tensor::empty(context_, {width_, width_});
  context_.pool().parallel_for(width_, 16, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const float* row = products.row(order_[static_cast<size_t>(i)]);
      for (int64_t k = 0; k < width_; ++k) ordered.row(i)[k] = row[order_[static_cast<size_t>(k)]];
    }
  });
  factor_ = cholesky_upper(context_, ordered);
}

void OutputRounding::refine(Format format, uint8_t* packed, const float* targets, int64_t first,
                            int64_t rows) const {
  const KernelTable& kernels = context_.kernels();
  const int64_t bytes = row_bytes(format, width_);
  const Tensor wished = wishes(targets, first, rows);
  Walk walk{.rows = std::vector<RowCodes>(static_cast<size_t>(rows)),
            .errors = Tensor::empty(context_, {rows, width_}),
            .pulls = wished.defined() ? pulls(wished) : wished};
  context_.pool().parallel_for(rows, 4, [&](int64_t begin, int64_t end) {
    std::vector<float> values(static_cast<size_t>(width_));
    for (int64_t i = begin; i < end; ++i) {
      read_codes(format, packed + i * bytes, width_, walk.rows[static_cast<size_t>(i)]);
      kernels.unpack(format, packed + i * bytes, values.data(), width_);
      float* errors = walk.errors.row(i);
      for (int64_t k = 0; k < width_; ++k) {
        const int64_t column = order_[static_cast<size_t>(k)];
        errors[k] = targets[i * width_ + column] - values[static_cast<size_t>(column)];
      }
    }
  });
  round_in_turn(walk);
  context_.pool().parallel_for(rows, 4, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      write_codes(format, walk.rows[static_cast<size_t>(i)], packed + i * bytes, width_);
    }
  });
  change_singly(format, packed, targets, wished, rows);
}

// With e = target - value, H the products and w the wishes, a row costs e H e^T + 2 e w^T but for a
// constant: wishes say where the values should go beyond the targets. [rows, in], or undefined
// where there are none.
Tensor OutputRounding::wishes(const float* targets, int64_t first, int64_t rows) const {
  if (!drift_.defined() && !owed_.defined()) return {};
  Tensor wished = Tensor::zeros(context_, {rows, width_});
  if (drift_.defined()) {
    multiply_transposed(context_, {targets, rows, width_, width_}, Matrix(drift_), wished.data(),
                        width_, /*accumulate=*/false);
  }
  if (owed_.defined()) {
    for (int64_t i = 0; i < rows; ++i) {
      context_.kernels().axpy(1.0f, owed_.row(first + i), wished.row(i), width_);
    }
  }
  return wished;
}

// p with p U = w, in the order of the walk: what the wishes ask of U e^T, row by row of U.
Tensor OutputRounding::pulls(const Tensor& wished) const {
  const KernelTable& kernels = context_.kernels();
  const int64_t rows = wished.dim(0);
  Tensor p = Tensor::empty(context_, {rows, width_});
  for (int64_t begin = 0; begin < width_; begin += kBand) {
    const int64_t end = std::min(width_, begin + kBand), width = end - begin;
    Tensor known = Tensor::zeros(context_, {rows, width});
    if (begin > 0) {
      const Matrix above(factor_.slice(0, 0, begin).slice(1, begin, end));
      multiply_transposed(context_, {p.data(), rows, begin, width_}, above, known.data(), width,
                          /*accumulate=*/false);
    }
    context_.pool().parallel_for(rows, 4, [&](int64_t first, int64_t last) {
      for (int64_t i = first; i < last; ++i) {
        float* row = p.row(i) + begin;
        for (int64_t k = 0; k < width; ++k) {
          row[k] = wished.row(i)[order_[static_cast<size_t>(begin + k)]] - known.row(i)[k];
        }
        for (int64_t k = 0; k < width; ++k) {
          const float* u = factor_.row(begin + k) + begin;
          row[k] /= u[k];
          kernels.axpy(-row[k], u + k + 1, row + k + 1, width - k - 1);
        }
      }
    });
  }
  return p;
}

void OutputRounding::round_in_turn(Walk& walk) const {
  const int64_t rows = walk.errors.dim(0);
  const int64_t bands = (width_ + kBand - 1) / kBand;
  for (int64_t band = bands - 1; band >= 0; --band) {
    const int64_t begin = band * kBand, end = std::min(width_, begin + kBand);
    Tensor pushes = Tensor::zeros(context_, {rows, end - begin});
    if (end < width_) {
      const Matrix after(factor_.slice(0, begin, end).slice(1, end, width_));
      multiply(context_, {walk.errors.data() + end, rows, width_ - end, width_}, after,
               pushes.data(), end - begin);
    }
    context_.pool().parallel_for(rows, 4, [&](int64_t first, int64_t last) {
      for (int64_t i = first; i < last; ++i) {
        if (walk.pulls.defined()) {
          context_.kernels().axpy(1.0f, walk.pulls.row(i) + begin, pushes.row(i), end - begin);
        }
        round_band(walk, pushes, begin, end, i);
      }
    });
  }
}

// Columns [begin, end) of one row; pushes: what the errors behind them and the
// wishes ask of each.
void OutputRounding::round_band(Walk& walk, const Tensor& pushes, int64_t begin, int64_t end,
                                int64_t row) const {
  RowCodes& codes = walk.rows[static_cast<size_t>(row)];
  float* errors = walk.errors.row(row);
  for (int64_t k = end - 1; k >= begin; --k) {
    const auto at = static_cast<size_t>(order_[static_cast<size_t>(k)]);
    const float step = codes.steps[at];
    if (step == 0) continue;
    const float* u = factor_.row(k);
    const float push =
        pushes.row(row)[k - begin] + context_.kernels().dot(u + k + 1, errors + k + 1, end - k - 1);
    const float wanted = std::rint((errors[k] + push / u[k]) / step);
    const float change = std::clamp(wanted, static_cast<float>(codes.least - codes.codes[at]),
                                    static_cast<float>(codes.most - codes.codes[at]));
    codes.codes[at] = static_cast<int16_t>(codes.codes[at] + static_cast<int>(change));
    errors[k] -= change * step;
  }
}

// Greedy coordinate descent, as in adaptive rounding (Nagel et al. 2020).
void OutputRounding::change_singly(Format format, uint8_t* packed, const float* targets,
                                   const Tensor& wishes, int64_t rows) const {
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
      if (wishes.defined()) kernels.axpy(-1.0f, wishes.row(i), gradients.row(i), width_);
      change_row(format, packed + i * bytes, gradients.row(i), row);
    }
  });
}

void OutputRounding::change_row(Format format, uint8_t* packed, float* gradient,
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
