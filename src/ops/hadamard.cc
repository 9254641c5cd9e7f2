#include <cmath>

#include "ops/elementwise.h"

namespace zhiyin {
namespace {

// In place, n a power of two: sums and differences of elements 1, 2, 4, ... apart.
void transform(float* x, int64_t n) {
  for (int64_t half = 1; half < n; half *= 2) {
    for (int64_t begin = 0; begin < n; begin += 2 * half) {
      for (int64_t i = begin; i < begin + half; ++i) {
        const float a = x[i], b = x[i + half];
        x[i] = a + b;
        x[i + half] = a - b;
      }
    }
  }
}

}  // namespace

Tensor hadamard(const Tensor& x) {
  const int64_t width = row_size(x), block = width & -width;
  Tensor y = Tensor::empty(x.context(), x.shape());
  const float share = 1.0f / std::sqrt(static_cast<float>(block));
  const KernelTable& kernels = x.context().kernels();
  for_rows(x, [&](int64_t r) {
    kernels.scale(share, x.row(r), y.row(r), width);
    for (int64_t i = 0; i < width; i += block) transform(y.row(r) + i, block);
  });
  return track("hadamard", y, {&x},
               [](const Tensor& dy) { return std::vector<Tensor>{hadamard(dy)}; });
}

}  // namespace zhiyin
