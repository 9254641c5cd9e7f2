#include "generate/speculator.h"

#include <algorithm>
#include <chrono>

#include "base/stopwatch.h"
#include "generate/session.h"

namespace zhiyin {
namespace {

// A measured time counts for this many steps.
constexpr int64_t kLately = 256;
// What a further token is assumed to cost before anything is known, as a share of the first.
constexpr double kAssumedShare = 0.1;
// What a plan must promise: times and rates are estimates.
constexpr double kWorthwhile = 1.05;
constexpr int64_t kLongestPause = 512;

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

void Speculator::begin(std::span<const int32_t> prompt) {
  lookup_.reset();
  for (const int32_t id : prompt) lookup_.add(id);
  counts_ = {};
}

void Speculator::add(int32_t id) {
  // Whether it was proposed or not, each token says whether the look-up would have been right.
  if (lookup_.match() > 0) {
    lookup_rate(lookup_.match()).add(lookup_.continuation(1).front() == id);
  }
  lookup_.add(id);
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
    return draft_ != nullptr ? Plan{Source::kDraft, most} : Plan{};
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
  if (draft_ == nullptr || draft_pause_-- > 0) return plan;
  if (draft_seconds_ <= 0)
    return plan.source == Source::kNone ? Plan{Source::kDraft, std::min<int64_t>(4, most)} : plan;
  all_hit = tokens = 1;
  bool pays = false;
  for (int64_t n = 1; n <= most; ++n) {
    all_hit *= draft_rate_.rate();
    tokens += all_hit;
    const double speed = tokens / (times_.of(1 + n) + static_cast<double>(n) * draft_seconds_);
    if (speed > kWorthwhile / times_.of(1)) pays = true;
    if (speed <= best) continue;
    best = speed;
    plan = {Source::kDraft, n};
  }
  if (!pays) {
    // A few tokens now and then, as only proposals tell how often the draft is right.
    draft_pause_ = next_draft_pause_;
    next_draft_pause_ = std::min(kLongestPause, 2 * next_draft_pause_);
    if (plan.source == Source::kNone) plan = {Source::kDraft, std::min<int64_t>(2, most)};
  } else {
    next_draft_pause_ = 16;
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
    if (source_ == Source::kDraft) ids = ask_draft(chosen.tokens, sampler, spans);
  }
  last_proposed_ = static_cast<int64_t>(ids.size());
  counts_.proposed += last_proposed_;
  return ids;
}

std::vector<int32_t> Speculator::ask_draft(int64_t count, Sampler sampler,
                                           std::optional<NameSpanState> spans) {
  std::vector<int32_t> text = lookup_.text(), ids;
  double seconds = 0;
  while (static_cast<int64_t>(ids.size()) < count &&
         static_cast<int64_t>(text.size()) <= draft_->max_tokens()) {
    const auto start = std::chrono::steady_clock::now();
    Tensor logits = draft_->prefill(text);
    const std::span<float> choices(logits.data(), static_cast<size_t>(logits.elements()));
    const auto judged = choices.first(std::min(choices.size(), static_cast<size_t>(vocabulary_)));
    if (spans) spans->mask(judged);
    const int32_t id = sampler.sample(judged);
    // The first step also reads what the text has gained since the last proposal.
    if (!ids.empty()) seconds += seconds_since(start);
    sampler.accept(id);
    if (spans) spans->accept(id);
    ids.push_back(id);
    text.push_back(id);
  }
  if (ids.size() > 1) {
    const double each = seconds / static_cast<double>(ids.size() - 1);
    draft_seconds_ = draft_seconds_ > 0 ? 0.75 * draft_seconds_ + 0.25 * each : each;
  }
  return ids;
}

void Speculator::judged(int64_t accepted, bool complete) {
  counts_.accepted += accepted;
  if (source_ != Source::kDraft) return;
  for (int64_t i = 0; i < accepted; ++i) draft_rate_.add(true);
  if (complete && accepted < last_proposed_) draft_rate_.add(false);
}

}  // namespace zhiyin
