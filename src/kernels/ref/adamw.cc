#include <cmath>

#include "kernels/ref/kernels_ref.h"

namespace zhiyin::ref {

// Loshchilov and Hutter 2019, in the order of operations of torch.optim.AdamW.
void adamw(const AdamWArgs& args) {
  const float decay = 1.0f - args.rate * args.weight_decay;
  const float step = args.rate / args.bias1;
  const float root_bias2 = std::sqrt(args.bias2);
  for (int64_t i = 0; i < args.n; ++i) {
    const float g = args.gradient[i] * args.gradient_scale;
    const float m = args.m[i] + (1.0f - args.beta1) * (g - args.m[i]);
    const float v = args.beta2 * args.v[i] + (1.0f - args.beta2) * g * g;
    args.m[i] = m;
    args.v[i] = v;
    args.parameter[i] =
        args.parameter[i] * decay - step * m / (std::sqrt(v) / root_bias2 + args.epsilon);
  }
}

}  // namespace zhiyin::ref
