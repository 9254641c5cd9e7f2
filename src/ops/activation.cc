#include "ops/elementwise.h"

namespace zhiyin {

Tensor swiglu(const Tensor& gate, const Tensor& up) {
  check_same_shape("swiglu", gate, up);
  Tensor y = Tensor::empty(gate.context(), gate.shape());
  const KernelTable& kernels = gate.context().kernels();
  for_rows(gate,
           [&](int64_t r) { kernels.swiglu(gate.row(r), up.row(r), y.row(r), row_size(gate)); });
  return track("swiglu", y, {&gate, &up}, [gate, up](const Tensor& dy) {
    Tensor d_gate = Tensor::empty(dy.context(), dy.shape());
    Tensor d_up = Tensor::empty(dy.context(), dy.shape());
    const KernelTable& k = dy.context().kernels();
    for_rows(dy, [&](int64_t r) {
      k.swiglu_backward(gate.row(r), up.row(r), dy.row(r), d_gate.row(r), d_up.row(r),
                        row_size(dy));
    });
    return std::vector<Tensor>{d_gate, d_up};
  });
}

}  // namespace zhiyin
