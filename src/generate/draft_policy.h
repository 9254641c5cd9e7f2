// When a draft model is worth its time, and how far it should go: decided from measured times and
// from how often it is right, so without a clock of its own.
//
// What the draft costs is booked against what it saves. Reading a text before it is known whether
// the draft helps comes out of an allowance, a small share of the time that answering has taken so
// far: that is the most that an answer can lose, whatever the draft is like. The reading shows the
// draft text that the model has written, and what it would have said there tells how often it is
// right before it has proposed anything. Where it does not pay, the next try comes when the time
// has doubled.
#pragma once

#include <array>
#include <cstdint>

#include "generate/measures.h"

namespace zhiyin {

class DraftPolicy {
 public:
  enum class Step : uint8_t {
    kRest,     // the model goes on without
    kRead,     // the draft reads what it has missed, then it is decided
    kPropose,  // speed() says what to expect
  };

  // share: what a token of the draft costs in tokens of the model, until it is measured.
  explicit DraftPolicy(double share) : share_(share) {}

  // ---- What happened, in seconds.
  // Answering took so long, all work of model and draft included.
  void passed(double seconds) { elapsed_ += seconds; }
  // A pass of the draft of few tokens, on the way to a proposal.
  void drafted(int64_t tokens, double seconds) { times_.add(tokens, seconds); }
  // The draft has read what it had missed, more than kFewRows tokens or fewer.
  void caught_up(int64_t tokens, double seconds);
  // The draft gave its token so much probability; it was right or not, proposed or not.
  void judged(double confidence, bool right);
  // A proposal and its verification: so many tokens came of it, which one by one take `plain`.
  void earned(int64_t tokens, double plain, double seconds) {
    balance_ += static_cast<double>(tokens) * plain - seconds;
  }

  // ---- What to do. model: times of a pass of the model that judges; unread: tokens that the draft
  // has to read for its first proposal, 1 if it has followed; most: tokens that may be proposed.
  Step next(const StepTimes& model, int64_t unread, int64_t most);
  // Tokens a second with as many proposals as are best.
  double speed(const StepTimes& model, int64_t unread, int64_t most) const;
  // How often a token of that confidence is right.
  double likelihood(double confidence) const { return rate_at(confidence).rate(); }
  // Whether the n-th token of a proposal is worth a row of the pass, if all up to it are right with
  // that likelihood, and whether asking the draft for the one after it pays.
  bool worth_a_row(const StepTimes& model, int64_t n, double likelihood) const;
  bool worth_another(const StepTimes& model, int64_t n, double likelihood) const;

 private:
  static constexpr size_t kLevels = 6;
  double token_seconds(const StepTimes& model) const;
  double reading_seconds(const StepTimes& model, int64_t unread) const;
  int64_t limit() const;  // proposals at a time
  bool can_afford(double seconds) const;
  static size_t level(double confidence);
  const HitRate& rate_at(double confidence) const { return by_confidence_[level(confidence)]; }

  double share_;
  StepTimes times_;          // of the draft
  double long_reading_ = 0;  // seconds for more than kFewRows tokens; 0: not measured
  HitRate rate_{0.75};
  std::array<HitRate, kLevels> by_confidence_{HitRate(0.2), HitRate(0.4),  HitRate(0.55),
                                              HitRate(0.7), HitRate(0.85), HitRate(0.95)};
  double elapsed_ = 0, balance_ = 0;
  bool pays_ = false;
  double next_try_ = 0;  // not before elapsed_ is that
};

}  // namespace zhiyin
