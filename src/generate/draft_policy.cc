#include "generate/draft_policy.h"

#include <algorithm>

namespace zhiyin {
namespace {

// Of the time that answering takes, what trying the draft may cost.
constexpr double kAllowance = 0.015;
// Reading many tokens, in single ones, until it is measured.
constexpr double kAssumedReading = 8;
// Proposals among which the time of catching up is divided.
constexpr double kGoesOn = 8;
// Proposals at a time of a draft that has earned nothing yet.
constexpr int64_t kUnproven = 4;
constexpr std::array<double, 5> kLevelEnds{0.3, 0.5, 0.7, 0.85, 0.95};

}  // namespace

size_t DraftPolicy::level(double confidence) {
  static_assert(kLevelEnds.size() + 1 == kLevels);
  return static_cast<size_t>(std::ranges::lower_bound(kLevelEnds, confidence) - kLevelEnds.begin());
}

void DraftPolicy::caught_up(int64_t tokens, double seconds) {
  if (tokens > kFewRows) long_reading_ = seconds;
  balance_ -= seconds;
  pays_ = true;  // next() asks whether it is so
}

void DraftPolicy::judged(double confidence, bool right) {
  rate_.add(right);
  by_confidence_[level(confidence)].add(right);
}

double DraftPolicy::token_seconds(const StepTimes& model) const {
  return times_.of(1) > 0 ? times_.of(1) : share_ * model.of(1);
}

double DraftPolicy::reading_seconds(const StepTimes& model, int64_t unread) const {
  const double token = token_seconds(model);
  if (unread > kFewRows) return long_reading_ > 0 ? long_reading_ : kAssumedReading * token;
  return std::max(token, times_.of(unread));
}

int64_t DraftPolicy::limit() const { return balance_ < 0 ? kUnproven : kFewRows - 1; }

bool DraftPolicy::can_afford(double seconds) const {
  return balance_ + kAllowance * elapsed_ >= seconds;
}

double DraftPolicy::speed(const StepTimes& model, int64_t unread, int64_t most) const {
  const double token = token_seconds(model);
  const double behind = (reading_seconds(model, unread) - token) / kGoesOn;
  double best = 0, all_right = 1, tokens = 1;
  for (int64_t n = 1; n <= std::min(most, limit()); ++n) {
    all_right *= rate_.rate();
    tokens += all_right;
    best = std::max(best, tokens / (model.of(1 + n) + static_cast<double>(n) * token + behind));
  }
  return best;
}

DraftPolicy::Step DraftPolicy::next(const StepTimes& model, int64_t unread, int64_t most) {
  if (model.of(1) <= 0 || most < 1) return Step::kRest;
  if (!pays_) {
    const bool due = elapsed_ >= next_try_ && can_afford(reading_seconds(model, unread));
    return due ? Step::kRead : Step::kRest;
  }
  if (!can_afford(0) || speed(model, unread, most) * model.of(1) <= kWorthwhile) {
    pays_ = false;
    next_try_ = 2 * elapsed_;
    return Step::kRest;
  }
  if (unread <= kFewRows) return Step::kPropose;
  return can_afford(reading_seconds(model, unread)) ? Step::kRead : Step::kRest;
}

bool DraftPolicy::worth_a_row(const StepTimes& model, int64_t n, double likelihood) const {
  return likelihood * model.of(1) > model.of(n + 1) - model.of(n);
}

bool DraftPolicy::worth_another(const StepTimes& model, int64_t n, double likelihood) const {
  return n < limit() && likelihood * rate_.rate() * model.of(1) >
                            model.of(n + 2) - model.of(n + 1) + token_seconds(model);
}

}  // namespace zhiyin
