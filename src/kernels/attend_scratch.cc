#include "kernels/attend_scratch.h"

namespace zhiyin {

int64_t attend_scratch_floats(int64_t rows, int64_t head_dim) {
  const AttendScratch parts = attend_scratch(nullptr, head_dim, rows);
  constexpr int64_t kAlignment = 16;
  const int64_t last_part = rows < kAttendRows ? rows : kAttendRows;
  // From nullptr, the address of a part is its offset.
  return static_cast<int64_t>(reinterpret_cast<uintptr_t>(parts.sum) / sizeof(float)) + last_part +
         kAlignment;
}

}  // namespace zhiyin
