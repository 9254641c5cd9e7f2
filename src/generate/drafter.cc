#include "generate/drafter.h"

#include <algorithm>
#include <chrono>
#include <cmath>

#include "base/stopwatch.h"
#include "generate/session.h"

namespace zhiyin {
namespace {

// Of a longer text that it has not followed, the draft reads the end: it need not know all to be
// right most of the time.
constexpr int64_t kReadAtMost = 64;
// What the draft would have said is compared with so much of the text that it reads.
constexpr size_t kCompared = 32;

}  // namespace

void Drafter::begin(size_t prompt) {
  prompt_ = prompt;
  guesses_.clear();
}

std::span<const int32_t> Drafter::shown(std::span<const int32_t> text) {
  const auto least = static_cast<size_t>(std::min(kReadAtMost, session_.max_tokens() / 2));
  // Another text, or more of it than fits: from the end again.
  if (begin_ >= text.size() ||
      static_cast<int64_t>(text.size() - begin_) + kFewRows > session_.max_tokens()) {
    begin_ = text.size() - std::min(text.size(), least);
  }
  return text.subspan(begin_);
}

double Drafter::promised_speed(const StepTimes& model, std::span<const int32_t> text,
                               int64_t most) {
  const auto unread = [&] {
    const std::span<const int32_t> all = shown(text);
    return static_cast<int64_t>(all.size() - session_.known_prefix(all));
  };
  DraftPolicy::Step step = policy_.next(model, std::min(unread(), kReadAtMost), most);
  if (step == DraftPolicy::Step::kRead) {
    if (unread() > kReadAtMost) begin_ = text.size() - static_cast<size_t>(kReadAtMost);
    catch_up(text);
    step = policy_.next(model, unread(), most);
  }
  return step == DraftPolicy::Step::kPropose ? policy_.speed(model, unread(), most) : 0;
}

void Drafter::catch_up(std::span<const int32_t> text) {
  const auto start = std::chrono::steady_clock::now();
  const std::span<const int32_t> all = shown(text);
  const size_t known = session_.known_prefix(all);
  // The last token is read when the draft is asked what follows it.
  const size_t end = all.size() - 1;
  if (known < end) {
    // What the model wrote begins here, or a token later where none stands before it.
    const size_t own = std::max(prompt_, begin_ + 1) - begin_;
    const size_t from = std::max({known, own - 1, end - std::min(end, kCompared)});
    session_.read(all.first(end), from, [&](size_t i, std::span<float> logits) {
      const auto choices = logits.first(std::min(logits.size(), static_cast<size_t>(vocabulary_)));
      const auto best = std::ranges::max_element(choices) - choices.begin();
      const Guess said = guess(choices, static_cast<int32_t>(best));
      policy_.judged(said.confidence, said.id == all[i + 1]);
    });
  }
  const double seconds = seconds_since(start);
  policy_.caught_up(static_cast<int64_t>(end - std::min(end, known)), seconds);
  policy_.passed(seconds);
}

Drafter::Guess Drafter::guess(std::span<float> logits, int32_t id) const {
  const KernelTable& kernels = session_.kernels();
  const auto n = static_cast<int64_t>(logits.size());
  const float top = kernels.max(logits.data(), n);
  const float own = std::exp(logits[static_cast<size_t>(id)] - top);
  return {id, static_cast<double>(own / kernels.exp_sum(logits.data(), top, logits.data(), n))};
}

std::vector<int32_t> Drafter::propose(const StepTimes* model, std::span<const int32_t> text,
                                      int64_t most, Sampler sampler,
                                      std::optional<NameSpanState> spans) {
  const std::span<const int32_t> all = shown(text);
  std::vector<int32_t> known(all.begin(), all.end()), ids;
  guesses_.clear();
  judged_ = 0;
  seconds_ = 0;
  double likelihood = 1;
  for (int64_t n = 1; n <= most; ++n) {
    const auto start = std::chrono::steady_clock::now();
    const auto unread = static_cast<int64_t>(known.size() - session_.known_prefix(known));
    Tensor logits = session_.prefill(known);
    const std::span<float> choices(logits.data(),
                                   static_cast<size_t>(std::min(logits.elements(), vocabulary_)));
    if (spans) spans->mask(choices);
    guesses_.push_back(guess(choices, sampler.sample(choices)));
    const auto [id, confidence] = guesses_.back();
    const double seconds = seconds_since(start);
    policy_.drafted(unread, seconds);
    seconds_ += seconds;
    likelihood *= policy_.likelihood(confidence);
    if (model != nullptr && !policy_.worth_a_row(*model, n, likelihood)) break;
    ids.push_back(id);
    if (n == most || (model != nullptr && !policy_.worth_another(*model, n, likelihood))) break;
    sampler.accept(id);
    if (spans) spans->accept(id);
    known.push_back(id);
  }
  policy_.passed(seconds_);
  return ids;
}

void Drafter::add(int32_t id) {
  if (judged_ >= guesses_.size()) return;
  const Guess& said = guesses_[judged_++];
  policy_.judged(said.confidence, said.id == id);
  if (said.id != id) guesses_.clear();
}

void Drafter::passed(double seconds) {
  policy_.passed(seconds);
  seconds_ += seconds;
}

void Drafter::judged(int64_t tokens, double plain) { policy_.earned(tokens, plain, seconds_); }

}  // namespace zhiyin
