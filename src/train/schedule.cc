#include "train/schedule.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "base/error.h"

namespace zhiyin {

ScheduleKind schedule_kind(std::string_view name) {
  if (name == "linear") return ScheduleKind::kLinear;
  if (name == "cosine") return ScheduleKind::kCosine;
  if (name == "constant") return ScheduleKind::kConstant;
  if (name == "constant_with_warmup") return ScheduleKind::kConstantWithWarmup;
  fail(ErrorCode::kUsage, "lr_scheduler_type: ", name,
       " is not known; it can be linear, cosine, constant or constant_with_warmup");
}

double Schedule::rate(int64_t k) const {
  if (kind == ScheduleKind::kConstant) return peak;
  if (k < warmup_steps) {
    return peak * static_cast<double>(from_zero ? k : k + 1) / static_cast<double>(warmup_steps);
  }
  if (kind == ScheduleKind::kConstantWithWarmup) return peak;
  const double done = static_cast<double>(k - warmup_steps) /
                      static_cast<double>(std::max<int64_t>(1, total_steps - warmup_steps));
  if (kind == ScheduleKind::kLinear) return peak * std::max(0.0, 1.0 - done);
  return peak * 0.5 * (1.0 + std::cos(std::numbers::pi * std::min(1.0, done)));
}

}  // namespace zhiyin
