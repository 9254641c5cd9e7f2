#include "ops/elementwise.h"

#include <cmath>

#include "base/random.h"

namespace zhiyin {

Tensor add(const Tensor& a, const Tensor& b) {
  check_same_shape("add", a, b);
  Tensor y = Tensor::empty(a.context(), a.shape());
  const KernelTable& kernels = a.context().kernels();
  for_rows(a, [&](int64_t r) { kernels.add(a.row(r), b.row(r), y.row(r), row_size(a)); });
  return track("add", y, {&a, &b}, [](const Tensor& dy) { return std::vector<Tensor>{dy, dy}; });
}

Tensor scale(const Tensor& x, float factor) {
  Tensor y = Tensor::empty(x.context(), x.shape());
  const KernelTable& kernels = x.context().kernels();
  for_rows(x, [&](int64_t r) { kernels.scale(factor, x.row(r), y.row(r), row_size(x)); });
  return track("scale", y, {&x},
               [factor](const Tensor& dy) { return std::vector<Tensor>{scale(dy, factor)}; });
}

Tensor dropout(const Tensor& x, float p, uint64_t seed) {
  check(p >= 0 && p < 1, ErrorCode::kUsage, "dropout: the probability ", p, " is not in [0, 1)");
  if (p == 0) return x;
  Tensor y = Tensor::empty(x.context(), x.shape());
  const auto threshold = static_cast<uint32_t>(std::lround(static_cast<double>(p) * 4294967295.0));
  const float kept = 1.0f / (1.0f - p);
  const int64_t cols = row_size(x);
  for_rows(x, [&](int64_t r) {
    const float* source = x.row(r);
    float* target = y.row(r);
    for (int64_t c = 0; c < cols; ++c) {
      const auto at = static_cast<uint64_t>(r * cols + c);
      const bool keep = philox(seed, at / 4)[at % 4] >= threshold;
      target[c] = keep ? source[c] * kept : 0.0f;
    }
  });
  return track("dropout", y, {&x},
               [p, seed](const Tensor& dy) { return std::vector<Tensor>{dropout(dy, p, seed)}; });
}

}  // namespace zhiyin
