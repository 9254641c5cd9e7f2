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
  // Whether update 0 of a warm-up has the rate 0, as in transformers, which wastes that update;
  // else warm-up goes from peak / warmup_steps to peak.
  bool from_zero = false;

  // Of update k = 0, 1, ….
  double rate(int64_t k) const;
};

}  // namespace zhiyin
