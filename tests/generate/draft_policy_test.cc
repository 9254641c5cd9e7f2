// When a draft model is asked, in a world of given times.
#include "generate/draft_policy.h"

#include <gtest/gtest.h>

#include "base/random.h"

namespace zhiyin {
namespace {

using Step = DraftPolicy::Step;

constexpr double kToken = 0.030, kRow = 0.005, kDraft = 0.010, kReading = 0.080;
constexpr int64_t kMost = 15, kLong = 64;

StepTimes model_times() {
  StepTimes times;
  for (int64_t n = 1; n <= kFewRows; ++n) {
    times.add(n, kToken + kRow * static_cast<double>(n - 1));
  }
  return times;
}

// An answer that goes on for ever, and a draft that is right as often as is said at the time.
class Answer {
 public:
  // right: of the tokens of the text that the draft reads, and of those that it proposes.
  template <typename Right>
  void go_on(int steps, const Right& right) {
    for (int i = 0; i < steps; ++i) {
      Step step = policy_.next(times_, unread_, kMost);
      if (step == Step::kRead) {
        ++readings_;
        for (int n = 0; n < 32; ++n) policy_.judged(0.9, right(true));
        spend(kReading);
        policy_.caught_up(unread_, kReading);
        unread_ = 1;
        step = policy_.next(times_, unread_, kMost);
        EXPECT_NE(step, Step::kRead);
      }
      int64_t proposed = 0, taken = 0;
      double seconds = 0;
      if (step == Step::kPropose) {
        ++proposals_;
        double likelihood = 1;
        bool all = true;
        do {
          ++proposed;
          policy_.drafted(1, kDraft);
          seconds += kDraft;
          likelihood *= policy_.likelihood(0.9);
          const bool hit = right(false);
          if (all) policy_.judged(0.9, hit);
          all = all && hit;
          if (all) ++taken;
        } while (proposed < kMost && policy_.worth_another(times_, proposed, likelihood));
      }
      seconds += times_.of(1 + proposed);
      spend(seconds);
      tokens_ += taken + 1;
      unread_ = step == Step::kPropose ? 1 : std::min(kLong, unread_ + 1);
      if (step == Step::kPropose) policy_.earned(taken + 1, times_.of(1), seconds);
    }
  }

  // Of the time without a draft.
  double ratio() const { return static_cast<double>(tokens_) * kToken / elapsed_; }
  double elapsed() const { return elapsed_; }
  int readings() const { return readings_; }
  int proposals() const { return proposals_; }

 private:
  void spend(double seconds) {
    policy_.passed(seconds);
    elapsed_ += seconds;
  }

  StepTimes times_ = model_times();
  DraftPolicy policy_{kDraft / kToken};
  int64_t unread_ = kLong;
  int64_t tokens_ = 0;
  double elapsed_ = 0;
  int readings_ = 0, proposals_ = 0;
};

TEST(DraftPolicy, RestsUntilReadingIsASmallPartOfTheTime) {
  Answer answer;
  answer.go_on(100, [](bool) { return true; });
  EXPECT_EQ(answer.readings(), 0);
  answer.go_on(100, [](bool) { return true; });
  EXPECT_EQ(answer.readings(), 1);
}

TEST(DraftPolicy, AGoodDraftIsKept) {
  Answer answer;
  Random random(1);
  answer.go_on(2000, [&](bool) { return random.uniform() < 0.95; });
  EXPECT_LE(answer.readings(), 2);
  EXPECT_GT(answer.proposals(), 1500);
  EXPECT_GT(answer.ratio(), 1.3);
}

TEST(DraftPolicy, ABadDraftIsReadMoreAndMoreSeldom) {
  Answer answer;
  Random random(2);
  const auto right = [&](bool) { return random.uniform() < 0.4; };
  answer.go_on(1000, right);
  const int first = answer.readings();
  EXPECT_GE(first, 2);
  answer.go_on(7000, right);  // thrice doubled
  EXPECT_EQ(answer.readings(), first + 3);
  EXPECT_EQ(answer.proposals(), 0);
  EXPECT_GT(answer.ratio(), 0.99);
}

TEST(DraftPolicy, WhatADraftCanLoseIsBounded) {
  // Always right of what is written, never of what comes.
  Answer deceived;
  for (int i = 0; i < 50; ++i) {
    deceived.go_on(100, [](bool known) { return known; });
    EXPECT_GT(deceived.ratio(), 0.975) << i;
  }
  EXPECT_GT(deceived.proposals(), 0);
  // Right for long, then never again.
  Answer changed;
  changed.go_on(1000, [](bool) { return true; });
  const double before = changed.ratio();
  const int proposals = changed.proposals();
  changed.go_on(1000, [](bool) { return false; });
  EXPECT_LT(changed.proposals(), proposals + 30);
  EXPECT_GT(before, 1);
}

TEST(DraftPolicy, ADearDraftIsNeverAsked) {
  StepTimes times = model_times();
  DraftPolicy policy(2.0);  // two tokens of the model for one of the draft
  for (int i = 0; i < 5000; ++i) {
    if (policy.next(times, kLong, kMost) == Step::kRead) {
      for (int n = 0; n < 32; ++n) policy.judged(1, true);
      policy.caught_up(kLong, kReading);
    }
    EXPECT_NE(policy.next(times, 1, kMost), Step::kPropose);
    policy.passed(kToken);
  }
}

TEST(DraftPolicy, LeavesOffWhereTheDraftIsNotSure) {
  const StepTimes times = model_times();
  DraftPolicy policy(kDraft / kToken);
  for (int i = 0; i < 100; ++i) {
    policy.judged(0.99, true);
    policy.judged(0.4, i % 3 == 0);
  }
  EXPECT_GT(policy.likelihood(0.99), 0.95);
  EXPECT_NEAR(policy.likelihood(0.4), 1 / 3., 0.05);
  EXPECT_TRUE(policy.worth_another(times, 1, policy.likelihood(0.99)));
  EXPECT_FALSE(policy.worth_another(times, 1, policy.likelihood(0.4)));
  EXPECT_TRUE(policy.worth_a_row(times, 1, policy.likelihood(0.4)));  // it is there already
  EXPECT_FALSE(policy.worth_a_row(times, 1, 0.1));
}

}  // namespace
}  // namespace zhiyin
