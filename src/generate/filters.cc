#include <algorithm>
#include <cmath>
#include <limits>

#include "generate/sampler.h"

namespace zhiyin::filters {
namespace {

bool more_likely(const Candidate& a, const Candidate& b) {
  return a.logit != b.logit ? a.logit > b.logit : a.id < b.id;
}

void keep(std::vector<Candidate>& candidates, size_t count, size_t min_keep) {
  count = std::max(count, min_keep);
  if (count < candidates.size()) {
    candidates.erase(candidates.begin() + static_cast<std::ptrdiff_t>(count), candidates.end());
  }
}

}  // namespace

std::vector<Candidate> top_k(std::span<const float> logits, int32_t k) {
  std::vector<Candidate> best;
  const auto id_of = [](size_t i) { return static_cast<int32_t>(i); };
  if (k <= 0) {
    for (size_t i = 0; i < logits.size(); ++i) {
      if (logits[i] > -INFINITY) best.push_back({id_of(i), logits[i], 0});
    }
    std::sort(best.begin(), best.end(), more_likely);
    return best;
  }
  // A heap with the worst of the best on top: nearly every logit fails one comparison.
  const auto wanted = static_cast<size_t>(k);
  float worst = -INFINITY;
  for (size_t i = 0; i < logits.size(); ++i) {
    if (!(logits[i] > worst)) continue;
    best.push_back({id_of(i), logits[i], 0});
    std::push_heap(best.begin(), best.end(), more_likely);
    if (best.size() > wanted) {
      std::pop_heap(best.begin(), best.end(), more_likely);
      best.pop_back();
    }
    if (best.size() == wanted) worst = best.front().logit;
  }
  std::sort_heap(best.begin(), best.end(), more_likely);
  return best;
}

void top_n_sigma(std::span<float> logits, float n) {
  double sum = 0, count = 0;
  float top = -INFINITY;
  for (const float l : logits) {
    if (l == -INFINITY) continue;
    top = std::max(top, l);
    sum += static_cast<double>(l);
    ++count;
  }
  if (count == 0) return;
  const double mean = sum / count;
  double squares = 0;
  for (const float l : logits) {
    if (l != -INFINITY)
      squares += (static_cast<double>(l) - mean) * (static_cast<double>(l) - mean);
  }
  const float border = top - n * static_cast<float>(std::sqrt(squares / count));
  for (float& l : logits) {
    if (l < border) l = -INFINITY;
  }
}

void softmax(std::vector<Candidate>& candidates) {
  double sum = 0;
  for (Candidate& c : candidates) {
    c.probability = std::exp(c.logit - candidates.front().logit);
    sum += static_cast<double>(c.probability);
  }
  for (Candidate& c : candidates) {
    c.probability = static_cast<float>(static_cast<double>(c.probability) / sum);
  }
}

void typical(std::vector<Candidate>& candidates, float p, size_t min_keep) {
  if (p >= 1) return;
  softmax(candidates);
  double entropy = 0;
  for (const Candidate& c : candidates) {
    if (c.probability > 0) {
      entropy -= static_cast<double>(c.probability) * std::log(static_cast<double>(c.probability));
    }
  }
  const auto distance = [&](const Candidate& c) {
    return std::fabs(-std::log(static_cast<double>(c.probability)) - entropy);
  };
  std::sort(candidates.begin(), candidates.end(), [&](const Candidate& a, const Candidate& b) {
    const double of_a = distance(a), of_b = distance(b);
    return of_a != of_b ? of_a < of_b : more_likely(a, b);
  });
  double sum = 0;
  size_t count = 0;
  while (count < candidates.size()) {
    sum += static_cast<double>(candidates[count++].probability);
    if (sum > static_cast<double>(p) && count >= min_keep) break;
  }
  keep(candidates, count, min_keep);
  std::sort(candidates.begin(), candidates.end(), more_likely);
}

void top_p(std::vector<Candidate>& candidates, float p, size_t min_keep) {
  if (p >= 1) return;
  softmax(candidates);
  double sum = 0;
  size_t count = 0;
  while (count < candidates.size()) {
    sum += static_cast<double>(candidates[count++].probability);
    if (sum >= static_cast<double>(p) && count >= min_keep) break;
  }
  keep(candidates, count, min_keep);
}

void min_p(std::vector<Candidate>& candidates, float p, size_t min_keep) {
  if (p <= 0 || candidates.empty()) return;
  const float border = candidates.front().logit + std::log(p);
  size_t count = 0;
  while (count < candidates.size() && candidates[count].logit >= border) ++count;
  keep(candidates, count, min_keep);
}

void xtc(std::vector<Candidate>& candidates, float threshold, size_t min_keep) {
  softmax(candidates);
  size_t above = 0;
  while (above < candidates.size() && candidates[above].probability >= threshold) ++above;
  if (above < 2 || candidates.size() - (above - 1) < min_keep) return;
  candidates.erase(candidates.begin(), candidates.begin() + static_cast<std::ptrdiff_t>(above - 1));
}

void temperature(std::vector<Candidate>& candidates, float t, float range, float exponent) {
  if (t <= 0) {
    keep(candidates, 1, 1);
    return;
  }
  if (range > 0 && candidates.size() > 1) {
    const float low = std::max(0.0f, t - range), high = t + range;
    softmax(candidates);
    double entropy = 0;
    for (const Candidate& c : candidates) {
      if (c.probability > 0) {
        entropy -=
            static_cast<double>(c.probability) * std::log(static_cast<double>(c.probability));
      }
    }
    const double normalised = entropy / std::log(static_cast<double>(candidates.size()));
    t = low +
        (high - low) * static_cast<float>(std::pow(normalised, static_cast<double>(exponent)));
    t = std::max(t, std::numeric_limits<float>::min());
  }
  for (Candidate& c : candidates) c.logit /= t;
}

}  // namespace zhiyin::filters
