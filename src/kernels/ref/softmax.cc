#include <cmath>

#include "kernels/ref/kernels_ref.h"

namespace zhiyin::ref {

float exp_sum(const float* x, float shift, float* y, int64_t n) {
  double sum = 0;
  for (int64_t i = 0; i < n; ++i) {
    y[i] = std::exp(x[i] - shift);
    sum += static_cast<double>(y[i]);
  }
  return static_cast<float>(sum);
}

void softmax(const float* x, float factor, float* y, int64_t n) {
  scale(factor, x, y, n);
  const float sum = exp_sum(y, max(y, n), y, n);
  scale(1.0f / sum, y, y, n);
}

}  // namespace zhiyin::ref
