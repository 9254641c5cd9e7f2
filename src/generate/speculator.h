// Speculative decoding: tokens that are likely to follow are put through the model together with
// the last one, which costs little more than that alone while decoding waits for memory, and as
// many are kept as the model agrees with (Leviathan et al. 2023, Chen et al. 2023).
//
// A proposal is judged by sampling: the token that the sampler draws from the model's logits there,
// after all filters, penalties and masks, is taken in any case; where it is the one proposed, the
// next position counts as well. That is the accept and reject rule for a proposal d of probability
// one (d with p(d), else another x with p(x) / (1 - p(d))), and more: as the products of few rows
// are the same to the bit in any company, the text for a seed is the one without speculation,
// whatever is proposed when. A draft model draws with a copy of the sampler, so with the same
// random numbers that will judge, and a like distribution draws the like token.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "generate/lookup.h"
#include "generate/name_spans.h"
#include "generate/sampler.h"
#include "ops/ops.h"

namespace zhiyin {

class Session;

enum class Speculation : uint8_t {
  kAuto,    // as many tokens as the measured times and rates say pays, often none
  kAlways,  // as many as there are
};

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

struct SpeculationCounts {
  int64_t proposed = 0, accepted = 0;
};

// Proposes for one session. Not thread-safe.
class Speculator {
 public:
  // draft: a session of a smaller model with the same vocabulary, or nullptr; must outlive this.
  // vocabulary: tokens of the model that judges.
  Speculator(Speculation mode, Session* draft, int64_t vocabulary)
      : mode_(mode), draft_(draft), vocabulary_(vocabulary) {}

  // A new text; rates and times go on.
  void begin(std::span<const int32_t> prompt);
  // Tokens, at most `most`, that may follow the text. Sampler and spans are those that will judge.
  std::vector<int32_t> propose(int64_t most, const Sampler& sampler,
                               const std::optional<NameSpanState>& spans);
  // The text goes on with a token.
  void add(int32_t id);
  // Of the last proposal `accepted` were taken; false in `complete`: the answer ended before a
  // token spoke against the next.
  void judged(int64_t accepted, bool complete);
  // A forward pass of the model that judges.
  void measured(int64_t tokens, double seconds) { times_.add(tokens, seconds); }

  const SpeculationCounts& counts() const { return counts_; }

 private:
  enum class Source : uint8_t { kNone, kLookup, kDraft };
  struct Plan {
    Source source = Source::kNone;
    int64_t tokens = 0;
  };
  Plan plan(int64_t most);
  HitRate& lookup_rate(int64_t match);
  std::vector<int32_t> ask_draft(int64_t count, Sampler sampler,
                                 std::optional<NameSpanState> spans);

  Speculation mode_;
  Session* draft_;
  int64_t vocabulary_;
  PromptLookup lookup_;
  // By the length of the match: 2, 3, 4, 5 to 6, 7 to 8, 9 to 16, more.
  std::array<HitRate, 7> lookup_rates_{HitRate(0.3),  HitRate(0.4), HitRate(0.5), HitRate(0.65),
                                       HitRate(0.75), HitRate(0.8), HitRate(0.9)};
  HitRate draft_rate_{0.75};
  StepTimes times_;
  double draft_seconds_ = 0;  // of a draft token; 0: not measured
  int64_t draft_pause_ = 0;   // steps until a draft that did not pay is tried again
  int64_t next_draft_pause_ = 16;
  Source source_ = Source::kNone;  // of the last proposal
  int64_t last_proposed_ = 0;
  SpeculationCounts counts_;
};

}  // namespace zhiyin
