#include "ops/elementwise.h"

namespace zhiyin {

Tensor reshape(const Tensor& x, const Shape& shape) {
  const Tensor y = (x.contiguous() ? x : x.contiguous_copy()).view(shape);
  return track("reshape", y, {&x}, [from = x.shape()](const Tensor& dy) {
    return std::vector<Tensor>{reshape(dy, from)};
  });
}

Tensor gather_rows(const Tensor& x, std::span<const int32_t> rows) {
  check(x.dims() == 2, ErrorCode::kFailed, "gather_rows: ", x.shape(), " is not [rows, width]");
  Tensor y = Tensor::empty(x.context(), {static_cast<int64_t>(rows.size()), x.dim(1)});
  for (size_t i = 0; i < rows.size(); ++i) {
    check(rows[i] >= 0 && rows[i] < x.dim(0), ErrorCode::kFailed, "gather_rows: row ", rows[i],
          " of ", x.shape());
    std::copy_n(x.row(rows[i]), x.dim(1), y.row(static_cast<int64_t>(i)));
  }
  return track(
      "gather_rows", y, {&x},
      [shape = x.shape(), rows = std::vector<int32_t>(rows.begin(), rows.end())](const Tensor& dy) {
        Tensor dx = Tensor::zeros(dy.context(), shape);
        for (size_t i = 0; i < rows.size(); ++i) {
          float* target = dx.row(rows[i]);
          dy.context().kernels().add(target, dy.row(static_cast<int64_t>(i)), target, shape.dim(1));
        }
        return std::vector<Tensor>{dx};
      });
}

}  // namespace zhiyin
