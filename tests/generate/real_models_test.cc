// Real models against transformers on their dequantised weights: greedy answers to 20 prompts. A
// token may differ only at a step whose two best logits lie close together.
#include "harness/real_models.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "base/file.h"
#include "generate/session.h"
#include "harness/paths.h"
#include "io/load_weights.h"
#include "models/family.h"

namespace zhiyin {
namespace {

class SlowRealModels : public ::testing::TestWithParam<testing::RealModel> {
 protected:
  void open(Precision precision) {
    const std::string golden_path =
        testing::shared_path(std::string("fixtures/real/") + GetParam().golden + ".json");
    const std::string model_path = testing::model_path(GetParam().file);
    ZHIYIN_NEEDS(golden_path);
    ZHIYIN_NEEDS(model_path);
    golden_ = nlohmann::json::parse(read_file(golden_path));
    context_ = std::make_unique<Context>(
        ContextOptions{.threads = 2, .kernels = nullptr, .precision = precision});
    const ModelFiles files = open_model_files(model_path, "");
    model_ = make_causal_lm(*files.config, load_weights(*context_, files));
    if (precision == Precision::kFast) {
      for (const Weight& weight : model_->frozen_matrices()) weight.prepare(*context_);
    }
  }

  // Compares token by token and stops at the first that differs, which must be a close call.
  void compare(const nlohmann::json& chat, const std::vector<int32_t>& got, double bound) {
    const auto wanted = chat.at("greedy").get<std::vector<int32_t>>();
    const auto margin = chat.at("margin").get<std::vector<double>>();
    for (size_t i = 0; i < wanted.size(); ++i) {
      ++steps_;
      if (i < got.size() && got[i] == wanted[i]) continue;
      ++differing_;
      EXPECT_LT(margin[i], bound) << GetParam().file << ", prompt " << chat.at("prompt")
                                  << ", step " << i << ": " << (i < got.size() ? got[i] : -1)
                                  << " instead of " << wanted[i];
      return;
    }
  }

  nlohmann::json golden_;
  std::unique_ptr<Context> context_;
  std::unique_ptr<CausalLm> model_;
  int steps_ = 0, differing_ = 0;
};

TEST_P(SlowRealModels, ExactModeGivesTheGreedyAnswers) {
  open(Precision::kExact);
  if (model_ == nullptr) return;
  for (const nlohmann::json& chat : golden_.at("chat")) {
    const auto prompt = chat.at("ids").get<std::vector<int32_t>>();
    const auto wanted = chat.at("greedy").get<std::vector<int32_t>>();
    // All steps in one pass: up to the first difference this is what decoding would choose.
    std::vector<int32_t> all = prompt;
    all.insert(all.end(), wanted.begin(), wanted.end() - 1);
    Batch batch;
    batch.add(all);
    KvCache cache(*context_, model_->kv_shape(), KvType::kF32, 4096);
    batch.spans[0].sequence = cache.add_sequence();
    const Tensor hidden = model_->forward(batch, {.cache = &cache, .on_hidden = {}});
    const auto first = static_cast<int64_t>(prompt.size()) - 1;
    const Tensor logits = model_->logits(hidden.slice(0, first, hidden.dim(0)));
    std::vector<int32_t> got;
    for (int64_t r = 0; r < logits.dim(0); ++r) {
      const float* row = logits.row(r);
      got.push_back(static_cast<int32_t>(std::max_element(row, row + logits.dim(1)) - row));
    }
    compare(chat, got, 0.02);
  }
  RecordProperty("differing", differing_);
}

TEST_P(SlowRealModels, FastModeDiffersOnlyInCloseCalls) {
  open(Precision::kFast);
  if (model_ == nullptr) return;
  Session session(*model_, *context_, KvType::kF16, 4096);
  for (const nlohmann::json& chat : golden_.at("chat")) {
    const auto prompt = chat.at("ids").get<std::vector<int32_t>>();
    const auto wanted = chat.at("greedy").get<std::vector<int32_t>>();
    SamplerOptions greedy;
    greedy.temperature = 0;
    Sampler sampler(greedy);
    const Generation answer = session.generate(prompt, sampler,
                                               {.max_tokens = static_cast<int64_t>(wanted.size()),
                                                .stop = {},
                                                .on_token = {},
                                                .on_prefill = {}});
    compare(chat, answer.ids, 0.3);
  }
  std::printf("%s: %d of 20 answers differ somewhere\n", GetParam().file, differing_);
}

INSTANTIATE_TEST_SUITE_P(All, SlowRealModels, ::testing::ValuesIn(testing::kRealModels),
                         testing::real_model_name);

}  // namespace
}  // namespace zhiyin
