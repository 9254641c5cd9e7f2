// Answers decoded together are those decoded alone, whatever joins and leaves.
#include "generate/batch_session.h"

#include <gtest/gtest.h>

#include <numeric>

#include "base/error.h"
#include "harness/paths.h"
#include "io/load_weights.h"
#include "models/family.h"

namespace zhiyin {
namespace {

class BatchSessionTest : public ::testing::Test {
 protected:
  static constexpr int kAnswers = 20;  // more than go through the model at once

  BatchSessionTest()
      : context_({.threads = 2, .kernels = nullptr, .precision = Precision::kExact}),
        files_(open_model_files(testing::data_path("models/qwen2/model"), "")),
        model_(make_causal_lm(*files_.config, load_weights(context_, files_))) {}

  static std::vector<int32_t> prompt(int i) {
    std::vector<int32_t> ids(static_cast<size_t>(1 + 7 * i % 90));
    std::iota(ids.begin(), ids.end(), 3 + i);
    return ids;
  }
  static Sampler sampler(int i) {
    SamplerOptions options;
    options.seed = static_cast<uint64_t>(i);
    options.temperature = i % 3 == 0 ? 0.0f : 1.2f;
    options.repeat_penalty = 1.1f;
    return Sampler(options);
  }
  static GenerateOptions options(int i) {
    GenerateOptions o;
    o.max_tokens = 3 + i;
    o.stop = {{7 * i, "test"}};
    return o;
  }
  Generation alone(int i) {
    Session session(*model_, context_, KvType::kF32, 256);
    Sampler s = sampler(i);
    return session.generate(prompt(i), s, options(i));
  }

  Context context_;
  ModelFiles files_;
  std::unique_ptr<CausalLm> model_;
};

TEST_F(BatchSessionTest, AnswersAreThoseGivenAlone) {
  BatchSession batch(*model_, context_, KvType::kF32, 8192);
  std::vector<Sampler> samplers;
  for (int i = 0; i < kAnswers; ++i) samplers.push_back(sampler(i));
  // A new one joins at each step while others end.
  int added = 0;
  bool more = true;
  while (more || added < kAnswers) {
    if (added < kAnswers) {
      EXPECT_EQ(batch.add(prompt(added), samplers[static_cast<size_t>(added)], options(added)),
                added);
      ++added;
    }
    more = batch.step();
  }
  for (int i = 0; i < kAnswers; ++i) {
    const Generation expected = alone(i), got = batch.take(i);
    EXPECT_EQ(got.ids, expected.ids) << i;
    EXPECT_EQ(got.reason, expected.reason) << i;
    EXPECT_EQ(got.prompt_tokens, expected.prompt_tokens) << i;
  }
  EXPECT_THROW(batch.take(0), Error);
}

// A cache of three pages: the third prompt waits for room, the first answer ends where its page is
// full, and the second goes on in the pages that the others leave.
TEST_F(BatchSessionTest, LivesWithTheRoomThereIs) {
  BatchSession batch(*model_, context_, KvType::kF32, 3 * kKvPageTokens);
  std::vector<Sampler> samplers(3, sampler(0));
  std::vector<int32_t> ids(100);
  std::iota(ids.begin(), ids.end(), 3);
  GenerateOptions endless;
  const int first = batch.add(std::span(ids).first(60), samplers[0], endless);
  const int second = batch.add(ids, samplers[1], endless);
  GenerateOptions three;
  three.max_tokens = 3;
  const int third = batch.add(std::span(ids).first(10), samplers[2], three);
  int steps = 0;
  while (batch.step()) ASSERT_LT(++steps, 200);
  // The prompt and all but the last token chosen are in the cache.
  EXPECT_EQ(batch.take(first).ids.size(), kKvPageTokens - 60 + 1);
  EXPECT_EQ(batch.take(second).ids.size(), 3 * kKvPageTokens - 100 + 1);
  EXPECT_EQ(batch.take(third).ids.size(), 3u);
  EXPECT_THROW(batch.add(std::vector<int32_t>(500, 3), samplers[0], endless), Error);
}

TEST_F(BatchSessionTest, EndsWhatIsTakenOrCancelled) {
  BatchSession batch(*model_, context_, KvType::kF32, 1024);
  std::vector<Sampler> samplers(2, sampler(0));
  const int first = batch.add(prompt(2), samplers[0], {});
  const int second = batch.add(prompt(3), samplers[1], {});
  EXPECT_TRUE(batch.step());
  EXPECT_FALSE(batch.ended(first));
  const Generation taken = batch.take(first);
  EXPECT_EQ(taken.reason, FinishReason::kCancelled);
  EXPECT_EQ(taken.ids.size(), 1u);
  context_.cancel();
  EXPECT_FALSE(batch.step());
  EXPECT_EQ(batch.take(second).reason, FinishReason::kCancelled);
}

}  // namespace
}  // namespace zhiyin
