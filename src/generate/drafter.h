// A draft model at work: it reads the text, says what may follow, and keeps account of what that
// costs and how often it is right.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "generate/draft_policy.h"
#include "generate/name_spans.h"
#include "generate/sampler.h"

namespace zhiyin {

class Session;

// Not thread-safe.
class Drafter {
 public:
  // vocabulary: tokens of the model that judges. share: see DraftPolicy. The session must outlive
  // this.
  Drafter(Session& session, int64_t vocabulary, double share)
      : session_(session), vocabulary_(vocabulary), policy_(share) {}

  // A new text, of which so many tokens are not the model's own.
  void begin(size_t prompt);
  // Tokens a second that proposals promise, 0 where they do not pay. Reads the text where that must
  // be known first.
  double promised_speed(const StepTimes& model, std::span<const int32_t> text, int64_t most);
  // What may follow the text: as many tokens as the times of the model make worth while; without
  // them, `most`. Sampler and spans are those that will judge.
  std::vector<int32_t> propose(const StepTimes* model, std::span<const int32_t> text, int64_t most,
                               Sampler sampler, std::optional<NameSpanState> spans);
  // The text went on with this token.
  void add(int32_t id);
  // A pass of the model took so long.
  void passed(double seconds);
  // Tokens that came of the last proposal, which one by one take `plain` seconds.
  void judged(int64_t tokens, double plain);

 private:
  struct Guess {
    int32_t id;
    double confidence;
  };
  // The part of the text that the draft is shown.
  std::span<const int32_t> shown(std::span<const int32_t> text);
  void catch_up(std::span<const int32_t> text);
  Guess guess(std::span<float> logits, int32_t id) const;

  Session& session_;
  int64_t vocabulary_;
  DraftPolicy policy_;
  size_t begin_ = 0;   // of what is shown
  size_t prompt_ = 0;  // tokens
  // What it said would follow, in the order of the text, as far as nothing spoke against it.
  std::vector<Guess> guesses_;
  size_t judged_ = 0;   // of the guesses
  double seconds_ = 0;  // of the last proposal and what it took to verify it
};

}  // namespace zhiyin
