#include "kernels/attend_scratch.h"

#include <algorithm>

namespace zhiyin {

int64_t attend_scratch_floats(int64_t rows, int64_t head_dim) {
  // From nullptr, the address of the end is the size.
  const auto plain = reinterpret_cast<uintptr_t>(attend_scratch(nullptr, head_dim, rows).end);
  const auto bf16 = reinterpret_cast<uintptr_t>(attend_bf16_scratch(nullptr, head_dim, rows).end);
  constexpr int64_t kAlignment = 16;
  return static_cast<int64_t>(std::max(plain, bf16) / sizeof(float)) + kAlignment;
}

}  // namespace zhiyin
