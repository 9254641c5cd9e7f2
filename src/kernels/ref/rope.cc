#include "kernels/ref/kernels_ref.h"

namespace zhiyin::ref {

void rope(const RopeArgs& args) {
  const int64_t half = args.rotary_dim / 2;
  const int64_t step = args.adjacent ? 2 : 1;
  const int64_t partner = args.adjacent ? 1 : half;
  for (int64_t h = 0; h < args.heads; ++h) {
    float* head = args.x + h * args.head_dim;
    for (int64_t i = 0; i < half; ++i) {
      float* pair = head + i * step;
      const float a = pair[0];
      const float b = pair[partner];
      pair[0] = a * args.cos[i] - b * args.sin[i];
      pair[partner] = a * args.sin[i] + b * args.cos[i];
    }
  }
}

}  // namespace zhiyin::ref
