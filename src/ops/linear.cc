#include <algorithm>
#include <memory>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "ops/elementwise.h"
#include "ops/linear_product.h"
#include "ops/product_integers.h"

namespace zhiyin {
namespace {

void add_bias(Tensor& y, const Tensor& bias) {
  const KernelTable& kernels = y.context().kernels();
  for_rows(y, [&](int64_t r) { kernels.add(y.row(r), bias.data(), y.row(r), row_size(y)); });
}

void check_operand(const Tensor& x, const LinearOperand& operand) {
  const Matrix& m = *operand.matrix;
  check(m.defined(), ErrorCode::kFailed, "linear: the matrix for the input ", x.shape(),
        " is undefined");
  check(x.dims() >= 1 && x.dim(-1) == m.cols(), ErrorCode::kFailed, "linear: input ", x.shape(),
        " does not fit the matrix ",
        m.frozen() ? std::string_view(m.weight().name()) : std::string_view("(trainable)"), " ",
        m.shape());
  check(!operand.bias->defined() || operand.bias->elements() == m.rows(), ErrorCode::kFailed,
        "linear: bias ", operand.bias->shape(), " does not fit the matrix ", m.shape());
  for (const LowRank& term : operand.low_rank) {
    check(term.input.shape() == x.shape() && term.a.dims() == 2 && term.b.dims() == 2 &&
              term.a.dim(1) == m.cols() && term.b.dim(0) == m.rows() &&
              term.a.dim(0) == term.b.dim(1),
          ErrorCode::kFailed, "linear: the factors ", term.a.shape(), " and ", term.b.shape(),
          " do not fit the matrix ", m.shape());
  }
}

}  // namespace

std::vector<Tensor> linear_many(const Tensor& x, std::span<const LinearOperand> operands,
                                Rounding rounding) {
  Context& context = x.context();
  std::vector<Tensor> outputs;
  std::vector<IntegerProduct> integer_products;
  std::vector<std::vector<Tensor>> inner(operands.size());
  RoundedRows rounded(x);
  Tensor copy;
  const RowsView rows = rows_view(x, copy);
  for (size_t i = 0; i < operands.size(); ++i) {
    const LinearOperand& operand = operands[i];
    check_operand(x, operand);
    const Matrix& m = *operand.matrix;
    Tensor& y = outputs.emplace_back(Tensor::empty(context, x.shape().with_last(m.rows())));
    if (multiplies_integers(context, m, rows.rows)) {
      integer_products.push_back({&m, y.data()});
    } else if (rounds_to_bf16(context, m) && !few_rows(rows.rows)) {
      multiply_in_bf16(x, operand, rounded, inner[i], y);
    } else {
      multiply(context, rows, m, y.data(), m.rows());
    }
  }
  if (!integer_products.empty()) {
    const bool fine = rounding == Rounding::kFine || rows.rows <= kFewRows;
    if (context.kernels().prefill_requantized && rows.rows > kFewRows) {
      multiply_requantized(context, rows, fine, integer_products);
    } else {
      multiply_integers(IntegerRows(context, rows, fine), integer_products);
    }
  }
  for (size_t i = 0; i < operands.size(); ++i) {
    if (operands[i].bias->defined()) add_bias(outputs[i], *operands[i].bias);
    if (inner[i].empty()) add_low_rank(operands[i], inner[i], outputs[i]);
    if (Tape::current() == nullptr) continue;
    const auto record = std::make_shared<const LinearRecord>(
        LinearRecord{x, *operands[i].matrix, *operands[i].bias, operands[i].low_rank, inner[i]});
    outputs[i] = track("linear", outputs[i], linear_inputs(*record),
                       [record](const Tensor& dy) { return linear_gradients(*record, dy); });
  }
  return outputs;
}

Tensor linear(const Tensor& x, const Matrix& matrix, const Tensor& bias) {
  const LinearOperand operand{&matrix, &bias, {}};
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
