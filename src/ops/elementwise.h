// Loops over the rows of tensors, shared by the operations of this folder.
#pragma once

#include <algorithm>
#include <string_view>

#include "base/error.h"
#include "ops/ops.h"

namespace zhiyin {

// Below this many values a loop stays on the caller's thread: starting the others costs more.
inline constexpr int64_t kSmallWork = 32768;

// body(r) for every row of a tensor like x, on several threads where there is enough work.
template <typename Body>
void for_rows(const Tensor& x, const Body& body) {
  const int64_t cols = x.dims() == 0 ? 1 : x.dim(-1);
  const int64_t grain = std::max<int64_t>(1, kSmallWork / std::max<int64_t>(1, cols));
  x.context().pool().parallel_for(x.rows(), grain, [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) body(r);
  });
}

inline int64_t row_size(const Tensor& x) { return x.dims() == 0 ? 1 : x.dim(-1); }

inline void check_same_shape(std::string_view operation, const Tensor& a, const Tensor& b) {
  check(a.shape() == b.shape(), ErrorCode::kFailed, operation, ": ", a.shape(), " and ", b.shape(),
        " differ");
}

}  // namespace zhiyin
