#include "train/adamw.h"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <numeric>
#include <vector>

namespace zhiyin {
namespace {

constexpr int64_t kTensors = 8;  // that a thread fetches at a time: adapters are small and many

double sum_of_squares(const Tensor& x) {
  // Several sums, which the compiler may keep in one vector.
  constexpr int64_t kSums = 8;
  double sums[kSums] = {};
  const float* value = x.data();
  const int64_t n = x.elements(), whole = n / kSums * kSums;
  const auto square = [&](int64_t i) {
    return static_cast<double>(value[i]) * static_cast<double>(value[i]);
  };
  for (int64_t i = 0; i < whole; i += kSums) {
    for (int64_t j = 0; j < kSums; ++j) sums[j] += square(i + j);
  }
  for (int64_t i = whole; i < n; ++i) sums[0] += square(i);
  return std::accumulate(std::begin(sums), std::end(sums), 0.0);
}

}  // namespace

AdamW::AdamW(std::vector<Tensor> parameters, const AdamWOptions& options)
    : options_(options), parameters_(std::move(parameters)) {
  for (const Tensor& parameter : parameters_) {
    first_.push_back(Tensor::zeros(parameter.context(), parameter.shape()));
    second_.push_back(Tensor::zeros(parameter.context(), parameter.shape()));
  }
}

void AdamW::update(std::span<const Tensor> gradients, int64_t step, double rate,
                   double gradient_scale) {
  if (parameters_.empty()) return;
  const auto t = static_cast<double>(step);
  const auto update_one = [&](size_t i) {
    if (!gradients[i].defined()) return;
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
  };
  parameters_[0].context().pool().parallel_for(static_cast<int64_t>(parameters_.size()), kTensors,
                                               [&](int64_t begin, int64_t end) {
                                                 for (int64_t i = begin; i < end; ++i) {
                                                   update_one(static_cast<size_t>(i));
                                                 }
                                               });
}

double global_norm(std::span<const Tensor> gradients) {
  // One sum a gradient, added up in their order: the same for any number of threads.
  std::vector<double> sums(gradients.size());
  const auto defined = std::find_if(gradients.begin(), gradients.end(),
                                    [](const Tensor& gradient) { return gradient.defined(); });
  if (defined == gradients.end()) return 0;
  defined->context().pool().parallel_for(
      static_cast<int64_t>(gradients.size()), kTensors, [&](int64_t begin, int64_t end) {
        for (auto i = static_cast<size_t>(begin); i < static_cast<size_t>(end); ++i) {
          if (gradients[i].defined()) sums[i] = sum_of_squares(gradients[i]);
        }
      });
  return std::sqrt(std::accumulate(sums.begin(), sums.end(), 0.0));
}

double clip_factor(double norm, double max_norm) {
  // The small number is torch's.
  return max_norm > 0 ? std::min(1.0, max_norm / (norm + 1e-6)) : 1.0;
}

}  // namespace zhiyin
