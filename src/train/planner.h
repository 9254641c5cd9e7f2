// How many updates a run has, and a longer run where it has too few to teach anything.
#pragma once

#include <cstdint>

namespace zhiyin {

// Below this a model stays nearly as it was: most reports of "nothing changed" are of runs of 10 to
// 50 updates over small data, whatever the number of epochs.
inline constexpr int64_t kFewUpdates = 100;

struct RunLength {
  int64_t rows = 0;  // that updates draw from; a pack of rows counts as one
  int64_t rows_per_step = 1;
  double epochs = 3;
  int64_t max_steps = 0;  // where above 0, in place of epochs

  // The last update of an epoch takes what is left, as in transformers.
  int64_t updates_an_epoch() const;
  int64_t updates() const;
};

// The same rows with enough updates: fewer rows an update first, down to 4, which costs no time;
// then more epochs, up to 10; then fewer rows still. As given where it has kFewUpdates already or
// where max_steps is set. Very few rows stay below kFewUpdates.
RunLength longer_run(const RunLength& run);

}  // namespace zhiyin
