// What speculation goes by: how long forward passes take and how often guesses are right.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "ops/ops.h"

namespace zhiyin {

// What a plan must promise, in steps of one token: times and rates are estimates.
inline constexpr double kWorthwhile = 1.05;

// How often something comes true, with older cases counting less. Begins at an assumed rate that
// the first few cases outweigh.
class HitRate {
 public:
  explicit HitRate(double assumed) : hits_(kAssumedCases * assumed), cases_(kAssumedCases) {}
  void add(bool hit) {
    hits_ = kKeep * hits_ + (hit ? 1 : 0);
    cases_ = kKeep * cases_ + 1;
  }
  double rate() const { return hits_ / cases_; }

 private:
  static constexpr double kAssumedCases = 4, kKeep = 0.97;
  double hits_, cases_;
};

// Seconds of a forward pass by its number of tokens, as measured lately; between and beyond the
// measured ones as assumed.
class StepTimes {
 public:
  void add(int64_t tokens, double seconds);
  // 0 before the first was measured.
  double of(int64_t tokens) const;

 private:
  struct Measured {
    double seconds = 0;  // 0: not lately
    int64_t at = 0;      // in steps
  };
  std::array<Measured, kFewRows + 1> measured_;
  int64_t steps_ = 0;
};

}  // namespace zhiyin
