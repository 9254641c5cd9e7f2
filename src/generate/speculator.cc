#include "generate/speculator.h"

#include <algorithm>

#include "generate/session.h"

namespace zhiyin {

void Speculator::begin(std::span<const int32_t> prompt) {
  lookup_.reset();
  for (const int32_t id : prompt) lookup_.add(id);
  if (drafter_) drafter_->begin(prompt.size());
  counts_ = {};
  source_ = Source::kNone;
}

void Speculator::add(int32_t id) {
  // Whether it was proposed or not, each token says whether the look-up would have been right.
  if (lookup_.match() > 0) {
    lookup_rate(lookup_.match()).add(lookup_.continuation(1).front() == id);
  }
  lookup_.add(id);
  if (drafter_) drafter_->add(id);
}

HitRate& Speculator::lookup_rate(int64_t match) {
  constexpr std::array<int64_t, 6> kLast{2, 3, 4, 6, 8, 16};
  const auto found = std::lower_bound(kLast.begin(), kLast.end(), match);
  return lookup_rates_[static_cast<size_t>(found - kLast.begin())];
}

Speculator::Plan Speculator::plan(int64_t most) {
  const int64_t match = lookup_.match();
  if (mode_ == Speculation::kAlways) {
    if (match > 0) return {Source::kLookup, most};
    return drafter_ ? Plan{Source::kDraft, most} : Plan{};
  }
  if (times_.of(1) <= 0) return {};
  // Tokens a second; the plain step gives one.
  double best = kWorthwhile / times_.of(1);
  Plan plan;
  double all_hit = 1, tokens = 1;
  for (int64_t n = 1; n <= most && match > 0; ++n) {
    all_hit *= lookup_rate(match + n - 1).rate();
    tokens += all_hit;
    const double speed = tokens / times_.of(1 + n);
    if (speed <= best) continue;
    best = speed;
    plan = {Source::kLookup, n};
  }
  if (drafter_ && drafter_->promised_speed(times_, lookup_.text(), most) > best) {
    plan = {Source::kDraft, most};
  }
  return plan;
}

std::vector<int32_t> Speculator::propose(int64_t most, const Sampler& sampler,
                                         const std::optional<NameSpanState>& spans) {
  source_ = Source::kNone;
  std::vector<int32_t> ids;
  if (most > 0) {
    const Plan chosen = plan(most);
    source_ = chosen.source;
    if (source_ == Source::kLookup) ids = lookup_.continuation(chosen.tokens);
    if (source_ == Source::kDraft) {
      const StepTimes* const times = mode_ == Speculation::kAuto ? &times_ : nullptr;
      ids = drafter_->propose(times, lookup_.text(), chosen.tokens, sampler, spans);
    }
  }
  counts_.proposed += static_cast<int64_t>(ids.size());
  return ids;
}

void Speculator::judged(int64_t accepted) {
  counts_.accepted += accepted;
  if (source_ == Source::kDraft) drafter_->judged(accepted + 1, times_.of(1));
}

void Speculator::measured(int64_t tokens, double seconds) {
  times_.add(tokens, seconds);
  if (drafter_) drafter_->passed(seconds);
}

}  // namespace zhiyin
