#include "train/planner.h"

#include <algorithm>
#include <cmath>

namespace zhiyin {

int64_t RunLength::updates_an_epoch() const { return (rows + rows_per_step - 1) / rows_per_step; }

int64_t RunLength::updates() const {
  if (max_steps > 0) return max_steps;
  return static_cast<int64_t>(std::ceil(epochs * static_cast<double>(updates_an_epoch())));
}

RunLength longer_run(const RunLength& run) {
  if (run.max_steps > 0 || run.rows == 0 || run.updates() >= kFewUpdates) return run;
  // More repetitions teach the rows by heart.
  constexpr double kMostEpochs = 10;
  RunLength next = run;
  for (const int64_t rows_per_step : {4, 2, 1}) {
    next.rows_per_step = std::min(run.rows_per_step, rows_per_step);
    next.epochs = std::max(run.epochs, std::ceil(static_cast<double>(kFewUpdates) /
                                                 static_cast<double>(next.updates_an_epoch())));
    if (next.epochs <= kMostEpochs) return next;
  }
  next.epochs = std::max(run.epochs, kMostEpochs);
  return next;
}

}  // namespace zhiyin
