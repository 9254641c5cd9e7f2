#include <algorithm>
#include <memory>
#include <vector>

#include "base/error.h"
#include "ops/elementwise.h"
#include "ops/linear_product.h"

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

// Rows of x as tiles of integers, for gemm_requantized.
class Q8Tiles {
 public:
  Q8Tiles(Context& context, const RowsView& x, bool fine) {
    const Q8TileLayout layout{x.cols, fine};
    const int64_t tiles = (x.rows + kQ8TileTokens - 1) / kQ8TileTokens;
    constexpr auto kFloat = static_cast<int64_t>(sizeof(float));
    data_ = Tensor::empty(context, {tiles * layout.bytes() / kFloat});
    context.pool().parallel_for(tiles, 1, [&](int64_t begin, int64_t end) {
      const int64_t first = begin * kQ8TileTokens;
      context.kernels().q8_tiles_from_rows(x.data + first * x.stride, x.stride,
                                           std::min(end * kQ8TileTokens, x.rows) - first, layout,
                                           data() + begin * layout.bytes());
    });
  }

  uint8_t* data() { return reinterpret_cast<uint8_t*>(data_.data()); }

 private:
  Tensor data_;  // for its alignment
};

// A part of one operand's rows: what a thread computes at a time.
struct Share {
  size_t operand;
  int64_t begin, end;
};

// Calls compute(packed, y, begin, end) for shares of all operands' rows, on all threads.
template <typename Compute>
void for_shares(Context& context, int64_t rows, std::span<const LinearOperand* const> operands,
                std::span<Tensor> outputs, const Compute& compute) {
  int64_t total = 0;
  for (const LinearOperand* operand : operands) total += operand->matrix->rows();
  // Few enough shares that starting one costs nothing, enough that threads end together. With many
  // rows each share rearranges them anew, so there are fewer.
  const int64_t shares_a_thread = rows > 4 ? 3 : 8;
  const int64_t grain = std::max<int64_t>(
      4 * kPackRows, total / (context.pool().threads() * shares_a_thread) / kPackRows * kPackRows);
  std::vector<Share> shares;
  for (size_t i = 0; i < operands.size(); ++i) {
    const int64_t operand_rows = operands[i]->matrix->rows();
    for (int64_t begin = 0; begin < operand_rows; begin += grain) {
      shares.push_back({i, begin, std::min(operand_rows, begin + grain)});
    }
  }
  context.pool().parallel_for(static_cast<int64_t>(shares.size()), 1,
                              [&](int64_t first, int64_t last) {
                                for (int64_t s = first; s < last; ++s) {
                                  const Share& share = shares[static_cast<size_t>(s)];
                                  compute(*operands[share.operand]->matrix->weight().packed(),
                                          outputs[share.operand].data(), share.begin, share.end);
                                }
                              });
}

void multiply_integers(Context& context, const RowsView& x,
                       std::span<const LinearOperand* const> operands, std::span<Tensor> outputs,
                       Rounding rounding) {
  const KernelTable& kernels = context.kernels();
  if (kernels.prefill_requantized && x.rows > kFewRows) {
    const bool fine = rounding == Rounding::kFine;
    Q8Tiles tiles(context, x, fine);
    for_shares(context, x.rows, operands, outputs,
               [&](const PackedWeight& w, float* y, int64_t begin, int64_t end) {
                 kernels.gemm_requantized({w, tiles.data(), fine, x.rows, y, w.rows, begin, end});
               });
    return;
  }
  const QuantizedRows rounded(context, x, rounding == Rounding::kFine || x.rows <= kFewRows);
  for_shares(context, x.rows, operands, outputs,
             [&](const PackedWeight& w, float* y, int64_t begin, int64_t end) {
               kernels.gemm_packed({w, rounded.q.get(), rounded.low.get(), rounded.scales.get(),
                                    rounded.sums.get(), x.rows, y, w.rows, begin, end});
             });
}

void add_bias(Tensor& y, const Tensor& bias) {
  const KernelTable& kernels = y.context().kernels();
  for_rows(y, [&](int64_t r) { kernels.add(y.row(r), bias.data(), y.row(r), row_size(y)); });
}

void check_operand(const Tensor& x, const LinearOperand& operand) {
  const Matrix& m = *operand.matrix;
  check(m.defined() && x.dims() >= 1 && x.dim(-1) == m.cols(), ErrorCode::kFailed, "linear: input ",
        x.shape().text(), " does not fit the matrix ",
        m.frozen() ? m.weight().name() : std::string("(trainable)"), " ",
        m.defined() ? m.shape().text() : std::string("(undefined)"));
  check(!operand.bias->defined() || operand.bias->elements() == m.rows(), ErrorCode::kFailed,
        "linear: bias ", operand.bias->shape().text(), " does not fit the matrix ",
        m.shape().text());
  for (const LowRank& term : operand.low_rank) {
    check(term.input.shape() == x.shape() && term.a.dims() == 2 && term.b.dims() == 2 &&
              term.a.dim(1) == m.cols() && term.b.dim(0) == m.rows() &&
              term.a.dim(0) == term.b.dim(1),
          ErrorCode::kFailed, "linear: the factors ", term.a.shape().text(), " and ",
          term.b.shape().text(), " do not fit the matrix ", m.shape().text());
  }
}

}  // namespace

std::vector<Tensor> linear_many(const Tensor& x, std::span<const LinearOperand> operands,
                                Rounding rounding) {
  Context& context = x.context();
  std::vector<Tensor> outputs;
  std::vector<const LinearOperand*> integer_operands;
  std::vector<Tensor> integer_outputs;
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
      integer_operands.push_back(&operand);
      integer_outputs.push_back(y);
    } else if (rounds_to_bf16(context, m) && !few_rows(rows.rows)) {
      multiply_in_bf16(x, operand, rounded, inner[i], y);
    } else {
      multiply(context, rows, m, y.data(), m.rows());
    }
  }
  if (!integer_operands.empty()) {
    multiply_integers(context, rows, integer_operands, integer_outputs, rounding);
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
