// The learning rate over the updates of a run, with the names of transformers' schedules.
#pragma once

#include <cstdint>
#include <string_view>

namespace zhiyin {

enum class ScheduleKind { kLinear, kCosine, kConstant, kConstantWithWarmup };

// "linear", "cosine", "constant", "constant_with_warmup". Throws kUsage for others.
ScheduleKind schedule_kind(std::string_view name);

struct Schedule {
  ScheduleKind kind = ScheduleKind::kCosine;
  double peak = 0;
  int64_t warmup_steps = 0;  // kConstant has none
  int64_t total_steps = 1;

  // Of update k = 0, 1, …. Warm-up goes from peak / warmup_steps to peak; transformers begins at 0,
  // which wastes the first update.
  double rate(int64_t k) const;
};

}  // namespace zhiyin
