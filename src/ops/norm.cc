#include "ops/elementwise.h"

namespace zhiyin {

Tensor rms_norm(const Tensor& x, const Tensor& weight, float epsilon) {
  check(x.dims() >= 1 && weight.dims() == 1 && x.dim(-1) == weight.dim(0), ErrorCode::kFailed,
        "rms_norm: weight ", weight.shape(), " does not fit the input ", x.shape());
  Tensor y = Tensor::empty(x.context(), x.shape());
  const KernelTable& kernels = x.context().kernels();
  const int64_t n = x.dim(-1);
  for_rows(x, [&](int64_t r) { kernels.rms_norm(x.row(r), weight.data(), epsilon, y.row(r), n); });

  // With f = rsqrt(mean(x^2) + epsilon): dx = f (w dy) - x f^3 mean(x w dy), dw = sum of x f dy.
  return track("rms_norm", y, {&x, &weight}, [x, weight, epsilon](const Tensor& dy) {
    Context& context = dy.context();
    const KernelTable& k = context.kernels();
    const int64_t width = x.dim(-1);
    Tensor dx = Tensor::empty(context, x.shape());
    Tensor factors = Tensor::empty(context, {x.rows()});
    for_rows(x, [&](int64_t r) {
      float* d = dx.row(r);
      const float f = k.rms_norm(x.row(r), weight.data(), epsilon, d, width);
      factors.data()[r] = f;
      k.mul(weight.data(), dy.row(r), d, width);
      const float mean = k.dot(d, x.row(r), width) / static_cast<float>(width);
      k.scale(f, d, d, width);
      k.axpy(-f * f * f * mean, x.row(r), d, width);
    });
    Tensor dw;
    if (weight.id() != 0) {
      dw = Tensor::zeros(context, weight.shape());
      Tensor product = Tensor::empty(context, weight.shape());
      for (int64_t r = 0; r < x.rows(); ++r) {
        k.mul(x.row(r), dy.row(r), product.data(), width);
        k.axpy(factors.data()[r], product.data(), dw.data(), width);
      }
    }
    return std::vector<Tensor>{dx, dw};
  });
}

}  // namespace zhiyin
