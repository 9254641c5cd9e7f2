// Choosing the next token from logits: the chain of samplers that llama.cpp made the standard, in
// its order and with its defaults.
//
//   logit bias, penalties, dry, top-n-sigma, top-k, typical, top-p, min-p, xtc, temperature, draw
//
// or, with mirostat, logit bias, penalties, temperature, mirostat. With temperature 0 the most
// likely token is taken after bias and penalties.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <span>
#include <vector>

#include "base/random.h"

namespace zhiyin {

struct SamplerOptions {
  uint64_t seed = 0;
  std::map<int32_t, float> logit_bias;  // added; -infinity forbids a token

  // Over the last repeat_last_n tokens, prompt included; -1: all. A logit l becomes l * penalty
  // where negative, l / penalty else; then minus count * frequency + presence.
  int64_t repeat_last_n = 64;
  float repeat_penalty = 1.0f;
  float presence_penalty = 0.0f, frequency_penalty = 0.0f;

  // DRY ("don't repeat yourself", p-e-w 2024): a token that would extend a repetition of n tokens,
  // n >= allowed_length, loses multiplier * base^(n - allowed_length). Repetitions end at breakers.
  float dry_multiplier = 0.0f, dry_base = 1.75f;
  int64_t dry_allowed_length = 2, dry_penalty_last_n = -1;
  std::set<int32_t> dry_breakers;

  float top_n_sigma = -1.0f;  // keeps logits within n standard deviations of the best; <= 0: off
  int32_t top_k = 40;         // <= 0: off
  float typical_p = 1.0f;     // Meister et al. 2022
  float top_p = 0.95f;        // Holtzman et al. 2019
  float min_p = 0.05f;        // Nguyen et al. 2024
  // XTC ("exclude top choices", p-e-w 2024): with this probability, all but the least likely of the
  // tokens above the threshold are removed.
  float xtc_probability = 0.0f, xtc_threshold = 0.1f;

  float temperature = 0.8f;
  // Dynamic temperature: within +- range, by the normalised entropy to the power of the exponent.
  float dynatemp_range = 0.0f, dynatemp_exponent = 1.0f;

  int mirostat = 0;  // 1 or 2 (Basu et al. 2020)
  float mirostat_tau = 5.0f, mirostat_eta = 0.1f;

  // What stays in play after a filter, at least.
  int32_t min_keep = 1;
};

// A token in play. Probabilities are those after the last filter that needed them.
struct Candidate {
  int32_t id;
  float logit;
  float probability;
};

// Not thread-safe; one a sequence. Equal seeds and logits give equal tokens.
class Sampler {
 public:
  // Throws kUsage, naming the option, its value and its range.
  explicit Sampler(SamplerOptions options);

  // Tokens that penalties look back on: the prompt, then each token taken.
  void accept(int32_t id) { history_.push_back(id); }
  void reset_history() { history_.clear(); }

  // The next token for logits [vocabulary]; not accepted yet.
  int32_t sample(std::span<const float> logits);

  const SamplerOptions& options() const { return options_; }

 private:
  void apply_penalties(std::span<float> logits) const;
  void apply_dry(std::span<float> logits) const;
  int32_t draw(std::vector<Candidate>& candidates);
  int32_t draw_mirostat(std::vector<Candidate>& candidates, size_t vocabulary);

  SamplerOptions options_;
  Random random_;
  std::vector<int32_t> history_;
  std::vector<float> logits_;  // working copy
  float mirostat_mu_;
};

// The filters of the chain, each on candidates sorted from the most likely down; public for tests.
namespace filters {

// The k best of logits, sorted; k <= 0: all that are not -infinity.
std::vector<Candidate> top_k(std::span<const float> logits, int32_t k);
void top_n_sigma(std::span<float> logits, float n);
void softmax(std::vector<Candidate>& candidates);
void typical(std::vector<Candidate>& candidates, float p, size_t min_keep);
void top_p(std::vector<Candidate>& candidates, float p, size_t min_keep);
void min_p(std::vector<Candidate>& candidates, float p, size_t min_keep);
void xtc(std::vector<Candidate>& candidates, float threshold, size_t min_keep);
void temperature(std::vector<Candidate>& candidates, float t, float range, float exponent);

}  // namespace filters
}  // namespace zhiyin
