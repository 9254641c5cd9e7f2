#include "train/adamw.h"

#include <algorithm>
#include <cmath>

namespace zhiyin {

AdamW::AdamW(std::vector<Tensor> parameters, const AdamWOptions& options)
    : options_(options), parameters_(std::move(parameters)) {
  for (const Tensor& parameter : parameters_) {
    first_.push_back(Tensor::zeros(parameter.context(), parameter.shape()));
    second_.push_back(Tensor::zeros(parameter.context(), parameter.shape()));
  }
}

void AdamW::update(std::span<const Tensor> gradients, int64_t step, double rate,
                   double gradient_scale) {
  const auto t = static_cast<double>(step);
  for (size_t i = 0; i < parameters_.size(); ++i) {
    if (!gradients[i].defined()) continue;
    parameters_[i].context().kernels().adamw(
        {.parameter = parameters_[i].data(),
         .gradient = gradients[i].data(),
         .m = first_[i].data(),
         .v = second_[i].data(),
         .n = parameters_[i].elements(),
         .rate = static_cast<float>(rate),
         .beta1 = static_cast<float>(options_.beta1),
         .beta2 = static_cast<float>(options_.beta2),
         .epsilon = static_cast<float>(options_.epsilon),
         .weight_decay =
             parameters_[i].dims() > 1 ? static_cast<float>(options_.weight_decay) : 0.0f,
         .bias1 = static_cast<float>(1.0 - std::pow(options_.beta1, t)),
         .bias2 = static_cast<float>(1.0 - std::pow(options_.beta2, t)),
         .gradient_scale = static_cast<float>(gradient_scale)});
  }
}

double global_norm(std::span<const Tensor> gradients) {
  double sum = 0;
  for (const Tensor& gradient : gradients) {
    if (!gradient.defined()) continue;
    const float* g = gradient.data();
    for (int64_t i = 0; i < gradient.elements(); ++i) {
      sum += static_cast<double>(g[i]) * static_cast<double>(g[i]);
    }
  }
  return std::sqrt(sum);
}

double clip_factor(double norm, double max_norm) {
  // The small number is torch's.
  return max_norm > 0 ? std::min(1.0, max_norm / (norm + 1e-6)) : 1.0;
}

}  // namespace zhiyin
