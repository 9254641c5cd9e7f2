#include "nn/linear.h"

#include <algorithm>

#include "base/error.h"

namespace zhiyin {

Linear::Linear(const Weights& w, int64_t out, int64_t in, bool has_bias)
    : path_(w.path()), matrix_(w.matrix("weight", out, in)) {
  if (has_bias) bias_ = w.vector("bias", out);
}

void Linear::replace(Matrix matrix) {
  check(matrix.shape() == matrix_.shape(), ErrorCode::kFailed, path_, ": a matrix ",
        matrix.shape().text(), " cannot stand for one of ", matrix_.shape().text());
  matrix_ = std::move(matrix);
  adapters_.clear();
}

Tensor Linear::operator()(const Tensor& x) const { return project_many(x, {this})[0]; }

namespace {
bool drops(const Lora& lora) { return lora.dropout > 0 && lora.dropout_seed != 0; }
}  // namespace

bool Linear::fusable() const {
  return !bias_.defined() && !on_input_ && std::none_of(adapters_.begin(), adapters_.end(), drops);
}

std::vector<LowRank> Linear::low_rank(const Tensor& x) const {
  std::vector<LowRank> terms;
  for (const Lora& lora : adapters_) {
    terms.push_back({drops(lora) ? dropout(x, lora.dropout, lora.dropout_seed) : x, lora.a, lora.b,
                     lora.scale});
  }
  return terms;
}

std::vector<Tensor> project_many(const Tensor& x, std::initializer_list<const Linear*> layers,
                                 Rounding rounding) {
  std::vector<LinearOperand> operands;
  for (const Linear* layer : layers) {
    if (layer->on_input_) layer->on_input_(x);
    operands.push_back({&layer->matrix_, &layer->bias_, layer->low_rank(x)});
  }
  return linear_many(x, operands, rounding);
}

}  // namespace zhiyin
