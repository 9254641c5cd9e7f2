#include <algorithm>
#include <cmath>

#include "ops/elementwise.h"
#include "ops/product.h"

namespace zhiyin {
namespace {

// weight * -log softmax(logits)[label]; where asked, logits become the gradient,
// weight * (softmax(logits) - onehot(label)).
double row_loss(const KernelTable& kernels, float* logits, int64_t n, int32_t label, float weight,
                bool to_gradient) {
  const float top = kernels.max(logits, n);
  const float at_label = logits[label];
  const float sum = kernels.exp_sum(logits, top, logits, n);
  if (to_gradient) {
    kernels.scale(weight / sum, logits, logits, n);
    logits[label] -= weight;
  }
  return static_cast<double>(weight) * (std::log(static_cast<double>(sum)) +
                                        static_cast<double>(top) - static_cast<double>(at_label));
}

std::vector<int32_t> labelled_rows(std::string_view operation, std::span<const int32_t> labels,
                                   int64_t rows, int64_t vocabulary) {
  check(static_cast<int64_t>(labels.size()) == rows, ErrorCode::kFailed, operation, ": ",
        labels.size(), " labels for ", rows, " rows");
  std::vector<int32_t> kept;
  for (size_t i = 0; i < labels.size(); ++i) {
    if (labels[i] == kIgnoreLabel) continue;
    check(labels[i] >= 0 && labels[i] < vocabulary, ErrorCode::kFailed, operation, ": label ",
          labels[i], " of row ", i, " is outside the vocabulary of ", vocabulary);
    kept.push_back(static_cast<int32_t>(i));
  }
  return kept;
}

// Losses of rows of logits, summed in order; the logits become gradients where asked.
double rows_loss(Context& context, Tensor& logits, std::span<const int32_t> labels,
                 std::span<const float> weights, bool to_gradient) {
  std::vector<double> losses(labels.size());
  context.pool().parallel_for(logits.dim(0), 1, [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) {
      const auto i = static_cast<size_t>(r);
      losses[i] = row_loss(context.kernels(), logits.row(r), logits.dim(1), labels[i],
                           weights.empty() ? 1.0f : weights[i], to_gradient);
    }
  });
  double total = 0;
  for (const double loss : losses) total += loss;
  return total;
}

}  // namespace

Tensor linear_cross_entropy(const Tensor& x, const Matrix& head, std::span<const int32_t> labels,
                            std::span<const float> weights) {
  check(x.dims() == 2 && x.dim(1) == head.cols(), ErrorCode::kFailed,
        "linear_cross_entropy: input ", x.shape(), " does not fit the head ", head.shape());
  Context& context = x.context();
  check(weights.empty() || weights.size() == labels.size(), ErrorCode::kFailed,
        "linear_cross_entropy: ", weights.size(), " weights for ", labels.size(), " labels");
  const std::vector<int32_t> rows =
      labelled_rows("linear_cross_entropy", labels, x.dim(0), head.rows());
  const bool need_dx = recording({&x}), need_dm = recording({&head.tensor()});

  // The gradient is computed with the loss, as the logits are there only now.
  Tensor dx, dm;
  if (need_dx) dx = Tensor::zeros(context, x.shape());
  if (need_dm) dm = Tensor::zeros(context, head.shape());
  double total = 0;
  // Chunks of the same size: each reads the whole head.
  const size_t chunks = (rows.size() + kLossChunkRows - 1) / kLossChunkRows;
  const size_t chunk_rows = chunks == 0 ? 0 : (rows.size() + chunks - 1) / chunks;
  for (size_t begin = 0; begin < rows.size(); begin += chunk_rows) {
    const size_t end = std::min(rows.size(), begin + chunk_rows);
    const std::span<const int32_t> chunk(rows.data() + begin, end - begin);
    std::vector<int32_t> chunk_labels;
    std::vector<float> chunk_weights;
    for (const int32_t row : chunk) {
      chunk_labels.push_back(labels[static_cast<size_t>(row)]);
      if (!weights.empty()) chunk_weights.push_back(weights[static_cast<size_t>(row)]);
    }
    Tensor hidden;
    {
      const NoTape quiet;
      hidden = gather_rows(x, chunk);
    }
    Tensor logits = Tensor::empty(context, {hidden.dim(0), head.rows()});
    const RowsView hidden_rows{hidden.data(), hidden.dim(0), hidden.dim(1), hidden.dim(1)};
    multiply(context, hidden_rows, head, logits.data(), head.rows());
    total += rows_loss(context, logits, chunk_labels, chunk_weights, need_dx || need_dm);
    const RowsView gradient{logits.data(), logits.dim(0), logits.dim(1), logits.dim(1)};
    if (need_dx) {
      Tensor d_hidden = Tensor::empty(context, hidden.shape());
      multiply_transposed(context, gradient, head, d_hidden.data(), head.cols(), false);
      for (size_t i = 0; i < chunk.size(); ++i) {
        std::copy_n(d_hidden.row(static_cast<int64_t>(i)), head.cols(), dx.row(chunk[i]));
      }
    }
    if (need_dm) multiply_outer(context, gradient, hidden_rows, dm.data(), true);
  }
  Tensor loss = Tensor::empty(context, {1});
  *loss.data() = static_cast<float>(total);
  const Tensor& trainable = head.tensor();
  return track("linear_cross_entropy", loss, {&x, &trainable}, [dx, dm](const Tensor& dy) {
    const float factor = dy.item();
    return std::vector<Tensor>{dx.defined() ? scale(dx, factor) : dx,
                               dm.defined() ? scale(dm, factor) : dm};
  });
}

Tensor cross_entropy(const Tensor& logits, std::span<const int32_t> labels) {
  check(logits.dims() == 2, ErrorCode::kFailed, "cross_entropy: ", logits.shape(),
        " is not [rows, vocabulary]");
  Context& context = logits.context();
  const std::vector<int32_t> rows =
      labelled_rows("cross_entropy", labels, logits.dim(0), logits.dim(1));
  std::vector<int32_t> kept_labels;
  for (const int32_t row : rows) kept_labels.push_back(labels[static_cast<size_t>(row)]);
  const bool need_gradient = recording({&logits});
  Tensor kept;
  {
    const NoTape quiet;
    kept = gather_rows(logits, rows);
  }
  Tensor loss = Tensor::empty(context, {1});
  *loss.data() = static_cast<float>(rows_loss(context, kept, kept_labels, {}, need_gradient));
  return track("cross_entropy", loss, {&logits},
               [kept, rows, shape = logits.shape()](const Tensor& dy) {
                 Tensor dx = Tensor::zeros(dy.context(), shape);
                 for (size_t i = 0; i < rows.size(); ++i) {
                   dy.context().kernels().scale(dy.item(), kept.row(static_cast<int64_t>(i)),
                                                dx.row(rows[i]), shape.dim(1));
                 }
                 return std::vector<Tensor>{dx};
               });
}

}  // namespace zhiyin
