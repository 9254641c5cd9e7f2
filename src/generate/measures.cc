#include "generate/measures.h"

#include <algorithm>

namespace zhiyin {
namespace {

// A measured time counts for this many steps.
constexpr int64_t kLately = 256;
// What a further token is assumed to cost before anything is known, as a share of the first.
constexpr double kAssumedShare = 0.1;

}  // namespace

void StepTimes::add(int64_t tokens, double seconds) {
  ++steps_;
  if (tokens < 1 || tokens > kFewRows) return;
  Measured& m = measured_[static_cast<size_t>(tokens)];
  // A single long step tells of the machine's other work.
  const bool known = m.seconds > 0 && steps_ - m.at <= kLately;
  m.seconds = known ? 0.75 * m.seconds + 0.25 * std::min(seconds, 2 * m.seconds) : seconds;
  m.at = steps_;
}

double StepTimes::of(int64_t tokens) const {
  const auto known = [&](int64_t n) {
    const Measured& m = measured_[static_cast<size_t>(n)];
    // A single token is what all is compared with: an old time is better than none.
    return m.seconds > 0 && (n == 1 || steps_ - m.at <= kLately);
  };
  const auto seconds = [&](int64_t n) { return measured_[static_cast<size_t>(n)].seconds; };
  if (!known(1)) return 0;
  int64_t below = tokens;
  while (!known(below)) --below;
  int64_t above = tokens;
  while (above <= kFewRows && !known(above)) ++above;
  const double more = static_cast<double>(tokens - below);
  const double assumed = seconds(below) + kAssumedShare * seconds(1) * more;
  if (above > kFewRows) return assumed;
  if (above == below) return seconds(below);
  const double slope = (seconds(above) - seconds(below)) / static_cast<double>(above - below);
  return seconds(below) + std::max(0.0, slope) * more;
}

}  // namespace zhiyin
