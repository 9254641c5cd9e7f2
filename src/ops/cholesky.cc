#include "ops/cholesky.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "ops/product.h"

namespace zhiyin {

Tensor cholesky_upper(Context& context, const Tensor& a) {
  check(a.dims() == 2 && a.dim(0) == a.dim(1), ErrorCode::kFailed, "cholesky_upper: ", a.shape(),
        " is not square");
  constexpr int64_t kBand = 128;  // rows of U that are made from all rows above them at once
  constexpr float kLeastPivot = 1e-6f;
  const KernelTable& kernels = context.kernels();
  const int64_t n = a.dim(0);
  Tensor u = Tensor::zeros(context, a.shape());
  Tensor above = Tensor::empty(context, {std::min(kBand, n), n});
  for (int64_t begin = 0; begin < n; begin += kBand) {
    const int64_t rows = std::min(kBand, n - begin), width = n - begin;
    if (begin > 0) {
      multiply_outer(context, {u.data() + begin, begin, rows, n},
                     {u.data() + begin, begin, width, n}, above.data(), /*accumulate=*/false);
    }
    context.pool().parallel_for(rows, 8, [&](int64_t first, int64_t last) {
      for (int64_t i = first; i < last; ++i) {
        float* row = u.row(begin + i);
        std::copy(a.row(begin + i) + begin + i, a.row(begin + i) + n, row + begin + i);
        if (begin == 0) continue;
        kernels.axpy(-1.0f, above.data() + i * width + i, row + begin + i, width - i);
      }
    });
    for (int64_t i = begin; i < begin + rows; ++i) {
      float* row = u.row(i);
      const float pivot = std::sqrt(std::max(row[i], kLeastPivot * a.row(i)[i]));
      kernels.scale(1.0f / pivot, row + i, row + i, n - i);
      row[i] = pivot;
      context.pool().parallel_for(begin + rows - i - 1, 8, [&](int64_t first, int64_t last) {
        for (int64_t r = i + 1 + first; r < i + 1 + last; ++r) {
          kernels.axpy(-row[r], row + r, u.row(r) + r, n - r);
        }
      });
    }
  }
  return u;
}

}  // namespace zhiyin
