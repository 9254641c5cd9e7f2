#include <algorithm>
#include <memory>
#include <vector>

#include "base/error.h"
#include "ops/ops.h"
#include "ops/product.h"

namespace zhiyin {
namespace {

// Rows of x as integers, for all matrices of one linear_many.
class QuantizedRows {
 public:
  QuantizedRows(Context& context, const RowsView& x, bool fine) : cols_(x.cols) {
    const auto values = static_cast<size_t>(x.rows * x.cols);
    q = std::make_unique_for_overwrite<int8_t[]>(values);
    if (fine) low = std::make_unique_for_overwrite<int8_t[]>(values);
    scales = std::make_unique_for_overwrite<float[]>(values / kQ8Block);
    sums = std::make_unique_for_overwrite<int32_t[]>(values / kQ8Block);
    context.pool().parallel_for(x.rows, 8, [&](int64_t begin, int64_t end) {
      context.kernels().quantize_rows(x.data + begin * x.stride, x.stride, end - begin, x.cols,
                                      row(begin));
    });
  }

  std::unique_ptr<int8_t[]> q, low;  // low: of fine rounding alone
  std::unique_ptr<float[]> scales;
  std::unique_ptr<int32_t[]> sums;

 private:
  Q8Rows row(int64_t r) const {
    const int64_t block = r * (cols_ / kQ8Block);
    return {q.get() + r * cols_, low ? low.get() + r * cols_ : nullptr, scales.get() + block,
            sums.get() + block};
  }

  int64_t cols_;
};

// A part of one operand's rows: what a thread computes at a time.
struct Share {
  size_t operand;
  int64_t begin, end;
};

void multiply_integers(Context& context, const RowsView& x,
                       std::span<const LinearOperand* const> operands, std::span<Tensor> outputs,
                       Rounding rounding) {
  const bool fine = rounding == Rounding::kFine || x.rows <= kFewRows;
  const QuantizedRows rounded(context, x, fine);
  int64_t total = 0;
  for (const LinearOperand* operand : operands) total += operand->matrix->rows();
  // Few enough shares that starting one costs nothing, enough that threads end together. With many
  // rows each share rearranges them anew, so there are fewer.
  const int64_t shares_a_thread = x.rows > 4 ? 3 : 8;
  const int64_t grain = std::max<int64_t>(
      4 * kPackRows, total / (context.pool().threads() * shares_a_thread) / kPackRows * kPackRows);
  std::vector<Share> shares;
  for (size_t i = 0; i < operands.size(); ++i) {
    const int64_t rows = operands[i]->matrix->rows();
    for (int64_t begin = 0; begin < rows; begin += grain) {
      shares.push_back({i, begin, std::min(rows, begin + grain)});
    }
  }
  context.pool().parallel_for(
      static_cast<int64_t>(shares.size()), 1, [&](int64_t first, int64_t last) {
        for (int64_t s = first; s < last; ++s) {
          const Share& share = shares[static_cast<size_t>(s)];
          const PackedWeight& packed = *operands[share.operand]->matrix->weight().packed();
          float* y = outputs[share.operand].data();
          context.kernels().gemm_packed({packed, rounded.q.get(), rounded.low.get(),
                                         rounded.scales.get(), rounded.sums.get(), x.rows, y,
                                         packed.rows, share.begin, share.end});
        }
      });
}

void add_bias(Tensor& y, const Tensor& bias) {
  const int64_t n = bias.elements();
  for (int64_t r = 0; r < y.rows(); ++r) {
    y.context().kernels().add(y.row(r), bias.data(), y.row(r), n);
  }
}

// Sum over the rows of dy.
Tensor bias_gradient(const Tensor& dy) {
  Tensor sum = Tensor::zeros(dy.context(), {dy.dim(-1)});
  for (int64_t r = 0; r < dy.rows(); ++r) {
    dy.context().kernels().add(sum.data(), dy.row(r), sum.data(), dy.dim(-1));
  }
  return sum;
}

Tensor track_linear(const Tensor& y, const Tensor& x, const Matrix& m, const Tensor& bias) {
  const Tensor& trainable = m.tensor();
  return track("linear", y, {&x, &trainable, &bias}, [x, m, bias](const Tensor& dy) {
    Context& context = dy.context();
    Tensor dy_copy, x_copy;
    const RowsView dy_rows = rows_view(dy, dy_copy);
    Tensor dx;
    if (x.id() != 0) {
      dx = Tensor::empty(context, x.shape());
      multiply_transposed(context, dy_rows, m, dx.data(), m.cols(), false);
    }
    Tensor dm;
    if (!m.frozen() && m.tensor().id() != 0) {
      dm = Tensor::empty(context, m.shape());
      multiply_outer(context, dy_rows, rows_view(x, x_copy), dm.data(), false);
    }
    return std::vector<Tensor>{dx, dm, bias.id() != 0 ? bias_gradient(dy) : Tensor()};
  });
}

}  // namespace

std::vector<Tensor> linear_many(const Tensor& x, std::span<const LinearOperand> operands,
                                Rounding rounding) {
  Context& context = x.context();
  std::vector<Tensor> outputs;
  std::vector<const LinearOperand*> integer_operands;
  std::vector<Tensor> integer_outputs;
  Tensor copy;
  const RowsView rows = rows_view(x, copy);
  for (const LinearOperand& operand : operands) {
    const Matrix& m = *operand.matrix;
    check(m.defined() && x.dims() >= 1 && x.dim(-1) == m.cols(), ErrorCode::kFailed,
          "linear: input ", x.shape().text(), " does not fit the matrix ",
          m.frozen() ? m.weight().name() : std::string("(trainable)"), " ",
          m.defined() ? m.shape().text() : std::string("(undefined)"));
    check(!operand.bias->defined() || operand.bias->elements() == m.rows(), ErrorCode::kFailed,
          "linear: bias ", operand.bias->shape().text(), " does not fit the matrix ",
          m.shape().text());
    Tensor y = Tensor::empty(context, x.shape().with_last(m.rows()));
    outputs.push_back(y);
    if (multiplies_integers(context, m, rows.rows)) {
      integer_operands.push_back(&operand);
      integer_outputs.push_back(y);
    } else {
      multiply(context, rows, m, y.data(), m.rows());
    }
  }
  if (!integer_operands.empty()) {
    multiply_integers(context, rows, integer_operands, integer_outputs, rounding);
  }
  for (size_t i = 0; i < operands.size(); ++i) {
    if (operands[i].bias->defined()) add_bias(outputs[i], *operands[i].bias);
    outputs[i] = track_linear(outputs[i], x, *operands[i].matrix, *operands[i].bias);
  }
  return outputs;
}

Tensor linear(const Tensor& x, const Matrix& matrix, const Tensor& bias) {
  const LinearOperand operand{&matrix, &bias};
  return linear_many(x, {&operand, 1})[0];
}

Tensor embedding(Context& context, std::span<const int32_t> ids, const Matrix& matrix) {
  const int64_t width = matrix.cols();
  Tensor y = Tensor::empty(context, {static_cast<int64_t>(ids.size()), width});
  for (size_t i = 0; i < ids.size(); ++i) {
    check(ids[i] >= 0 && ids[i] < matrix.rows(), ErrorCode::kFailed, "embedding: token id ", ids[i],
          " at position ", i, " is outside the vocabulary of ", matrix.rows());
    float* target = y.row(static_cast<int64_t>(i));
    if (matrix.frozen()) {
      matrix.weight().unpack_row(context.kernels(), ids[i], 0, width, target);
    } else {
      std::copy_n(matrix.tensor().row(ids[i]), width, target);
    }
  }
  const Tensor& trainable = matrix.tensor();
  return track("embedding", y, {&trainable},
               [matrix, ids = std::vector<int32_t>(ids.begin(), ids.end())](const Tensor& dy) {
                 Tensor dm = Tensor::zeros(dy.context(), matrix.shape());
                 for (size_t i = 0; i < ids.size(); ++i) {
                   float* row = dm.row(ids[i]);
                   dy.context().kernels().add(row, dy.row(static_cast<int64_t>(i)), row,
                                              matrix.cols());
                 }
                 return std::vector<Tensor>{dm};
               });
}

}  // namespace zhiyin
