#include "generate/sampler.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"

namespace zhiyin {
namespace {

void check_range(const char* name, float value, float low, float high) {
  check(value >= low && value <= high, ErrorCode::kUsage, name, " is ", value,
        "; it must lie between ", low, " and ", high);
}

}  // namespace

Sampler::Sampler(SamplerOptions options)
    : options_(std::move(options)),
      random_(options_.seed),
      mirostat_mu_(2 * options_.mirostat_tau) {
  check_range("temperature", options_.temperature, 0, 100);
  check_range("top-p", options_.top_p, 0, 1);
  check_range("min-p", options_.min_p, 0, 1);
  check_range("typical-p", options_.typical_p, 0, 1);
  check_range("xtc-probability", options_.xtc_probability, 0, 1);
  check_range("xtc-threshold", options_.xtc_threshold, 0, 1);
  check_range("repeat-penalty", options_.repeat_penalty, 0.01f, 100);
  check_range("dry-base", options_.dry_base, 1, 100);
  check_range("dynatemp-range", options_.dynatemp_range, 0, 100);
  check(options_.mirostat >= 0 && options_.mirostat <= 2, ErrorCode::kUsage, "mirostat is ",
        options_.mirostat, "; it must be 0 (off), 1 or 2");
}

int32_t Sampler::sample(std::span<const float> logits) {
  check(!logits.empty(), ErrorCode::kFailed, "sampler: no logits");
  logits_.assign(logits.begin(), logits.end());
  for (const auto& [id, bias] : options_.logit_bias) {
    check(id >= 0 && static_cast<size_t>(id) < logits_.size(), ErrorCode::kUsage,
          "logit bias: token id ", id, " is outside the vocabulary of ", logits_.size());
    logits_[static_cast<size_t>(id)] += bias;
  }
  apply_penalties(logits_);
  const SamplerOptions& o = options_;
  if (o.temperature <= 0 && o.mirostat == 0) {
    apply_dry(logits_);
    return static_cast<int32_t>(std::max_element(logits_.begin(), logits_.end()) - logits_.begin());
  }
  if (o.mirostat != 0) {
    std::vector<Candidate> all = filters::top_k(logits_, 0);
    filters::temperature(all, o.temperature, 0, 1);
    return draw_mirostat(all, logits_.size());
  }
  apply_dry(logits_);
  if (o.top_n_sigma > 0) filters::top_n_sigma(logits_, o.top_n_sigma);
  const auto min_keep = static_cast<size_t>(std::max(1, o.min_keep));
  std::vector<Candidate> candidates =
      filters::top_k(logits_, o.top_k > 0 ? std::max(o.top_k, o.min_keep) : 0);
  check(!candidates.empty(), ErrorCode::kFailed,
        "sampler: every token is forbidden or the logits are not numbers");
  filters::typical(candidates, o.typical_p, min_keep);
  filters::top_p(candidates, o.top_p, min_keep);
  filters::min_p(candidates, o.min_p, min_keep);
  if (o.xtc_probability > 0 && o.xtc_threshold <= 0.5f &&
      random_.uniform() <= static_cast<double>(o.xtc_probability)) {
    filters::xtc(candidates, o.xtc_threshold, min_keep);
  }
  filters::temperature(candidates, o.temperature, o.dynatemp_range, o.dynatemp_exponent);
  return draw(candidates);
}

void Sampler::apply_penalties(std::span<float> logits) const {
  const SamplerOptions& o = options_;
  if (o.repeat_last_n == 0 ||
      (o.repeat_penalty == 1.0f && o.presence_penalty == 0 && o.frequency_penalty == 0)) {
    return;
  }
  std::map<int32_t, int> counts;
  const size_t n = o.repeat_last_n < 0
                       ? history_.size()
                       : std::min(history_.size(), static_cast<size_t>(o.repeat_last_n));
  for (size_t i = history_.size() - n; i < history_.size(); ++i) ++counts[history_[i]];
  for (const auto& [id, count] : counts) {
    if (id < 0 || static_cast<size_t>(id) >= logits.size()) continue;
    float& logit = logits[static_cast<size_t>(id)];
    logit = logit <= 0 ? logit * o.repeat_penalty : logit / o.repeat_penalty;
    logit -= static_cast<float>(count) * o.frequency_penalty + o.presence_penalty;
  }
}

void Sampler::apply_dry(std::span<float> logits) const {
  const SamplerOptions& o = options_;
  if (o.dry_multiplier <= 0 || o.dry_penalty_last_n == 0) return;
  // The history backwards up to the limit; the repetition may not reach over a breaker.
  size_t n = history_.size();
  if (o.dry_penalty_last_n > 0) n = std::min(n, static_cast<size_t>(o.dry_penalty_last_n));
  const std::vector<int32_t> back(history_.rbegin(),
                                  history_.rbegin() + static_cast<std::ptrdiff_t>(n));
  size_t longest = 0;
  while (longest < n && !o.dry_breakers.contains(back[longest])) ++longest;
  // Z-function (Gusfield 1997): z[i] = length of the common prefix of back and back[i..], which is
  // the length of a repetition that ended before back[i - 1].
  std::vector<size_t> z(n, 0);
  std::map<int32_t, size_t> repeated;
  for (size_t i = 1, left = 0, right = 0; i < n; ++i) {
    if (i < right) z[i] = std::min(right - i, z[i - left]);
    while (i + z[i] < n && back[z[i]] == back[i + z[i]]) ++z[i];
    if (i + z[i] > right) {
      left = i;
      right = i + z[i];
    }
    const size_t length = std::min(z[i], longest);
    if (static_cast<int64_t>(length) >= o.dry_allowed_length) {
      size_t& best = repeated[back[i - 1]];
      best = std::max(best, length);
    }
  }
  for (const auto& [id, length] : repeated) {
    if (id < 0 || static_cast<size_t>(id) >= logits.size() || o.dry_breakers.contains(id)) continue;
    const auto exponent = static_cast<float>(static_cast<int64_t>(length) - o.dry_allowed_length);
    logits[static_cast<size_t>(id)] -= o.dry_multiplier * std::pow(o.dry_base, exponent);
  }
}

int32_t Sampler::draw(std::vector<Candidate>& candidates) {
  filters::softmax(candidates);
  const double target = random_.uniform();
  double sum = 0;
  for (const Candidate& c : candidates) {
    sum += static_cast<double>(c.probability);
    if (target < sum) return c.id;
  }
  return candidates.back().id;
}

int32_t Sampler::draw_mirostat(std::vector<Candidate>& candidates, size_t vocabulary) {
  filters::softmax(candidates);
  const auto surprise = [](const Candidate& c) { return -std::log2(c.probability); };
  size_t count = 0;
  if (options_.mirostat == 1) {
    // The exponent of Zipf's law estimated from the most likely tokens, and the k that it gives.
    constexpr size_t kEstimated = 100;
    double products = 0, squares = 0;
    for (size_t i = 0; i + 1 < std::min(kEstimated, candidates.size()); ++i) {
      const double t = std::log(static_cast<double>(i + 2) / static_cast<double>(i + 1));
      const double b = std::log(static_cast<double>(candidates[i].probability) /
                                static_cast<double>(candidates[i + 1].probability));
      products += t * b;
      squares += t * t;
    }
    const double s = squares > 0 ? products / squares : 1;
    const double epsilon = s - 1;
    const double k = std::pow(epsilon * std::pow(2.0, static_cast<double>(mirostat_mu_)) /
                                  (1 - std::pow(static_cast<double>(vocabulary), -epsilon)),
                              1 / s);
    count = std::isfinite(k) ? static_cast<size_t>(std::max(1.0, std::min(k, 1e9))) : 1;
  } else {
    while (count < candidates.size() && surprise(candidates[count]) <= mirostat_mu_) ++count;
  }
  count = std::clamp<size_t>(count, 1, candidates.size());
  candidates.erase(candidates.begin() + static_cast<std::ptrdiff_t>(count), candidates.end());
  const int32_t id = draw(candidates);
  for (const Candidate& c : candidates) {
    if (c.id != id) continue;
    mirostat_mu_ -= options_.mirostat_eta * (surprise(c) - options_.mirostat_tau);
  }
  return id;
}

}  // namespace zhiyin
