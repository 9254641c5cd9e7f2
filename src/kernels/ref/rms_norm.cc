#include <cmath>

#include "kernels/ref/kernels_ref.h"

namespace zhiyin::ref {

float rms_norm(const float* x, const float* w, float epsilon, float* y, int64_t n) {
  double squares = 0;
  for (int64_t i = 0; i < n; ++i) squares += static_cast<double>(x[i]) * static_cast<double>(x[i]);
  const float mean = static_cast<float>(squares / static_cast<double>(n));
  const float factor = 1.0f / std::sqrt(mean + epsilon);
  for (int64_t i = 0; i < n; ++i) y[i] = x[i] * factor * w[i];
  return factor;
}

}  // namespace zhiyin::ref
