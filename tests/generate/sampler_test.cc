#include "generate/sampler.h"

#include <gtest/gtest.h>

#include <cmath>

#include "base/error.h"

namespace zhiyin {
namespace {

// Logits whose softmax is the given distribution.
std::vector<float> logits_of(const std::vector<double>& probabilities) {
  std::vector<float> logits;
  for (const double p : probabilities) logits.push_back(static_cast<float>(std::log(p)));
  return logits;
}

std::vector<int32_t> ids_of(const std::vector<Candidate>& candidates) {
  std::vector<int32_t> ids;
  for (const Candidate& c : candidates) ids.push_back(c.id);
  return ids;
}

SamplerOptions plain() {
  SamplerOptions o;
  o.top_k = 0;
  o.top_p = 1;
  o.min_p = 0;
  o.temperature = 1;
  return o;
}

using Ids = std::vector<int32_t>;

TEST(Filters, TopKTakesTheBestInOrder) {
  const std::vector<float> logits{1, 5, 3, 5, -INFINITY, 2};
  EXPECT_EQ(ids_of(filters::top_k(logits, 3)), (Ids{1, 3, 2}));
  EXPECT_EQ(ids_of(filters::top_k(logits, 0)), (Ids{1, 3, 2, 5, 0}));
  EXPECT_EQ(ids_of(filters::top_k(logits, 100)), (Ids{1, 3, 2, 5, 0}));
}

TEST(Filters, TopPKeepsTheSmallestSetThatReachesP) {
  const auto run = [](float p, size_t min_keep) {
    auto c = filters::top_k(logits_of({0.1, 0.5, 0.3, 0.1}), 0);
    filters::top_p(c, p, min_keep);
    return ids_of(c);
  };
  EXPECT_EQ(run(0.5f, 1), (Ids{1}));
  EXPECT_EQ(run(0.75f, 1), (Ids{1, 2}));
  EXPECT_EQ(run(0.0f, 2), (Ids{1, 2}));
  EXPECT_EQ(run(1.0f, 1).size(), 4u);
}

TEST(Filters, MinPComparesWithTheBest) {
  auto c = filters::top_k(logits_of({0.1, 0.5, 0.3, 0.1}), 0);
  filters::min_p(c, 0.5f, 1);
  EXPECT_EQ(ids_of(c), (Ids{1, 2}));
}

TEST(Filters, TypicalPrefersTheExpectedSurprise) {
  auto c = filters::top_k(logits_of({0.4, 0.2, 0.2, 0.2}), 0);
  filters::typical(c, 0.5f, 1);
  // The entropy is nearer to -log 0.2 than to -log 0.4.
  EXPECT_EQ(ids_of(c), (Ids{1, 2, 3}));
}

TEST(Filters, XtcRemovesAllButTheLastAboveTheThreshold) {
  auto c = filters::top_k(logits_of({0.4, 0.3, 0.2, 0.1}), 0);
  filters::xtc(c, 0.15f, 1);
  EXPECT_EQ(ids_of(c), (Ids{2, 3}));
}

TEST(Filters, TopNSigma) {
  std::vector<float> logits{10, 9.5f, 0, 0, 0, 0, 0, 0};
  filters::top_n_sigma(logits, 1.0f);
  EXPECT_EQ(ids_of(filters::top_k(logits, 0)), (Ids{0, 1}));
}

TEST(Filters, DynamicTemperatureIsHotterWhereTheModelIsUnsure) {
  auto sure = filters::top_k(logits_of({0.97, 0.01, 0.01, 0.01}), 0);
  auto unsure = filters::top_k(logits_of({0.25, 0.25, 0.25, 0.25}), 0);
  const float sure_before = sure[0].logit, unsure_before = unsure[0].logit;
  filters::temperature(sure, 1, 0.5f, 1);
  filters::temperature(unsure, 1, 0.5f, 1);
  EXPECT_GT(sure[0].logit / sure_before, 1.0f);
  EXPECT_NEAR(unsure_before / unsure[0].logit, 1.5f, 1e-5f);
}

TEST(Sampler, TemperatureZeroTakesTheBest) {
  SamplerOptions o;
  o.temperature = 0;
  EXPECT_EQ(Sampler(o).sample(std::vector<float>{0, 3, 2}), 1);
  o.logit_bias[1] = -INFINITY;
  EXPECT_EQ(Sampler(o).sample(std::vector<float>{0, 3, 2}), 2);
}

TEST(Sampler, DrawsTheDistribution) {
  Sampler sampler(plain());
  const std::vector<double> wanted{0.5, 0.3, 0.15, 0.05};
  std::vector<int> counts(4);
  const std::vector<float> logits = logits_of(wanted);
  const int n = 20000;
  for (int i = 0; i < n; ++i) ++counts[static_cast<size_t>(sampler.sample(logits))];
  double chi_square = 0;
  for (size_t i = 0; i < 4; ++i) {
    chi_square += std::pow(counts[i] - n * wanted[i], 2) / (n * wanted[i]);
  }
  EXPECT_LT(chi_square, 16.3);  // 3 degrees of freedom, one in a thousand
}

TEST(Sampler, SameSeedSameTokens) {
  const std::vector<float> logits = logits_of({0.25, 0.25, 0.25, 0.25});
  std::vector<int32_t> runs[3];
  for (int run = 0; run < 3; ++run) {
    SamplerOptions o = plain();
    o.seed = run == 2 ? 8 : 7;
    Sampler sampler(o);
    for (int i = 0; i < 50; ++i) runs[run].push_back(sampler.sample(logits));
  }
  EXPECT_EQ(runs[0], runs[1]);
  EXPECT_NE(runs[0], runs[2]);
}

TEST(Sampler, PenaltiesLookBack) {
  SamplerOptions o;
  o.temperature = 0;
  o.repeat_penalty = 2;
  Sampler sampler(o);
  const std::vector<float> logits{4, 3, -1};
  EXPECT_EQ(sampler.sample(logits), 0);
  sampler.accept(0);
  EXPECT_EQ(sampler.sample(logits), 1);  // 4 / 2 < 3
  SamplerOptions p;
  p.temperature = 0;
  p.frequency_penalty = 0.6f;
  p.repeat_last_n = 2;
  Sampler frequent(p);
  frequent.accept(0);
  EXPECT_EQ(frequent.sample(logits), 0);
  frequent.accept(0);
  EXPECT_EQ(frequent.sample(logits), 1);  // 4 - 1.2 < 3
  frequent.accept(2);
  frequent.accept(2);
  EXPECT_EQ(frequent.sample(logits), 0);  // out of the window
}

TEST(Sampler, DryBreaksARepetition) {
  SamplerOptions o;
  o.temperature = 0;
  o.dry_multiplier = 1;
  const std::vector<float> logits{0, 0, 0, 0.5f, 0, 0.4f};
  const auto choice = [&](const Ids& history) {
    Sampler sampler(o);
    for (const int32_t id : history) sampler.accept(id);
    return sampler.sample(logits);
  };
  EXPECT_EQ(choice({1, 2, 3, 4, 1, 2}), 5);     // 3 would repeat "1 2 3"
  EXPECT_EQ(choice({1, 2, 3, 4, 0, 2}), 3);     // one token in common is allowed
  EXPECT_EQ(choice({1, 2, 3, 4, 1, 2, 4}), 3);  // "4" was followed by 1, not by 3
  o.dry_breakers = {2};
  EXPECT_EQ(choice({1, 2, 3, 4, 1, 2}), 3);
}

TEST(Sampler, MirostatKeepsTheSurpriseNearItsTarget) {
  // A long tail: rank r with probability proportional to 1 / r.
  std::vector<float> logits;
  for (int r = 1; r <= 5000; ++r) logits.push_back(-std::log(static_cast<float>(r)));
  double z = 0;
  for (const float l : logits) z += std::exp(static_cast<double>(l));
  for (const int version : {1, 2}) {
    SamplerOptions o = plain();
    o.mirostat = version;
    o.mirostat_tau = 4;
    Sampler sampler(o);
    double surprise = 0;
    for (int i = 0; i < 3000; ++i) {
      const int32_t id = sampler.sample(logits);
      if (i >= 1000) {
        surprise -= std::log2(std::exp(static_cast<double>(logits[static_cast<size_t>(id)])) / z);
      }
    }
    EXPECT_NEAR(surprise / 2000, 4, 1.5) << "mirostat " << version;
  }
}

TEST(Sampler, RefusesWhatCannotBeMeant) {
  SamplerOptions o;
  o.top_p = 1.5f;
  try {
    Sampler sampler(o);
    FAIL() << "no error";
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), ErrorCode::kUsage);
    EXPECT_STREQ(e.what(), "top-p is 1.5; it must lie between 0 and 1");
  }
}

}  // namespace
}  // namespace zhiyin
