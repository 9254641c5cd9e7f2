#include <algorithm>

#include "ops/elementwise.h"

namespace zhiyin {

Tensor rope(const Tensor& x, const Rotation& rotation) {
  check(x.dims() == 3 && rotation.cosine.dims() == 2 && rotation.cosine.dim(0) == x.dim(0) &&
            2 * rotation.cosine.dim(1) <= x.dim(2),
        ErrorCode::kFailed, "rope: input ", x.shape(), " does not fit the rotation ",
        rotation.cosine.shape());
  Tensor y = Tensor::empty(x.context(), x.shape());
  const KernelTable& kernels = x.context().kernels();
  const int64_t per_token = y.dim(1) * y.dim(2);
  const int64_t grain = std::max<int64_t>(1, kSmallWork / std::max<int64_t>(1, per_token));
  x.context().pool().parallel_for(y.dim(0), grain, [&](int64_t begin, int64_t end) {
    for (int64_t t = begin; t < end; ++t) {
      for (int64_t h = 0; h < y.dim(1); ++h) {
        const int64_t row = t * y.dim(1) + h;
        std::copy_n(x.row(row), y.dim(2), y.row(row));
      }
      kernels.rope({y.data() + t * per_token, y.dim(1), y.dim(2), 2 * rotation.cosine.dim(1),
                    rotation.cosine.row(t), rotation.sine.row(t), rotation.adjacent});
    }
  });
  return track("rope", y, {&x}, [rotation](const Tensor& dy) {
    return std::vector<Tensor>{
        rope(dy, {rotation.cosine, scale(rotation.sine, -1.0f), rotation.adjacent})};
  });
}

}  // namespace zhiyin
