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

#include "generate/drafter.h"
#include "generate/lookup.h"
#include "generate/measures.h"
#include "generate/name_spans.h"
#include "generate/sampler.h"

namespace zhiyin {

class Session;

enum class Speculation : uint8_t {
  kAuto,    // as many tokens as the measured times and rates say pays, often none
  kAlways,  // as many as there are
};

struct SpeculationCounts {
  int64_t proposed = 0, accepted = 0;
};

// Proposes for one session. Not thread-safe.
class Speculator {
 public:
  // draft: a session of a smaller model with the same vocabulary, or nullptr; must outlive this.
  // vocabulary: tokens of the model that judges. draft_share: see DraftPolicy.
  Speculator(Speculation mode, Session* draft, int64_t vocabulary, double draft_share = 0.5)
      : mode_(mode) {
    if (draft != nullptr) drafter_.emplace(*draft, vocabulary, draft_share);
  }

  // A new text; rates and times go on.
  void begin(std::span<const int32_t> prompt);
  // Tokens, at most `most`, that may follow the text. Sampler and spans are those that will judge.
  std::vector<int32_t> propose(int64_t most, const Sampler& sampler,
                               const std::optional<NameSpanState>& spans);
  // The text goes on with a token.
  void add(int32_t id);
  // Of the last proposal `accepted` were taken.
  void judged(int64_t accepted);
  // A forward pass of the model that judges.
  void measured(int64_t tokens, double seconds);

  const SpeculationCounts& counts() const { return counts_; }

 private:
  enum class Source : uint8_t { kNone, kLookup, kDraft };
  struct Plan {
    Source source = Source::kNone;
    int64_t tokens = 0;
  };
  Plan plan(int64_t most);
  HitRate& lookup_rate(int64_t match);

  Speculation mode_;
  std::optional<Drafter> drafter_;
  PromptLookup lookup_;
  // By the length of the match: 2, 3, 4, 5 to 6, 7 to 8, 9 to 16, more.
  std::array<HitRate, 7> lookup_rates_{HitRate(0.3),  HitRate(0.4), HitRate(0.5), HitRate(0.65),
                                       HitRate(0.75), HitRate(0.8), HitRate(0.9)};
  StepTimes times_;
  Source source_ = Source::kNone;  // of the last proposal
  SpeculationCounts counts_;
};

}  // namespace zhiyin
