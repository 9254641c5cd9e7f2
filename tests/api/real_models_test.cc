// Real models through the public API: prompts, tokens, perplexities, memory.
#include "harness/real_models.h"

#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>

#include "base/file.h"
#include "harness/paths.h"
#include "zhiyin/generate.h"
#include "zhiyin/model.h"

namespace zhiyin {
namespace {

int64_t resident_bytes() {
  std::ifstream status("/proc/self/status");
  for (std::string word; status >> word;) {
    if (word != "VmRSS:") continue;
    int64_t kilobytes = 0;
    status >> kilobytes;
    return kilobytes * 1024;
  }
  return 0;
}

class SlowApi : public ::testing::TestWithParam<testing::RealModel> {
 protected:
  nlohmann::json golden() const {
    return nlohmann::json::parse(read_file(
        testing::shared_path(std::string("fixtures/real/") + GetParam().golden + ".json")));
  }
  std::string path() const { return testing::model_path(GetParam().file); }
  bool present() const {
    return std::filesystem::exists(path()) &&
           std::filesystem::exists(testing::shared_path("fixtures/real"));
  }
  static Model open(const std::string& path, bool exact) {
    OpenOptions options;
    options.threads = 2;
    options.exact = exact;
    return Model::open(path, options);
  }
};

TEST_P(SlowApi, RendersAndTokenizesAsTheReference) {
  if (!present()) GTEST_SKIP() << "needs " << path();
  const Model model = open(path(), false);
  const nlohmann::json wanted = golden();
  for (const nlohmann::json& chat : wanted.at("chat")) {
    const std::string messages =
        nlohmann::json::array({{{"role", "user"}, {"content", chat.at("prompt")}}}).dump();
    const std::string prompt =
        model.render({.messages = messages, .tools = {}, .add_generation_prompt = true, .now = {}});
    EXPECT_EQ(prompt, chat.at("rendered").get<std::string>());
    EXPECT_EQ(model.tokenize(prompt, true), chat.at("ids").get<std::vector<int32_t>>());
  }
}

TEST_P(SlowApi, PerplexityIsThatOfTheReference) {
  if (!present()) GTEST_SKIP() << "needs " << path();
  const nlohmann::json wanted = golden();
  for (const bool exact : {true, false}) {
    Model model = open(path(), exact);
    for (const nlohmann::json& text : wanted.at("text")) {
      const std::vector<int32_t> ids = model.tokenize(text.at("text").get<std::string>(), true);
      ASSERT_EQ(static_cast<int64_t>(ids.size()), text.at("n").get<int64_t>());
      const EvalResult result = model.evaluate(ids, 0, "", nullptr);
      const double reference = text.at("ppl").get<double>();
      const double off = std::fabs(result.perplexity / reference - 1);
      std::printf("%s %s: perplexity %.4f, reference %.4f, off by %.3f %%\n", GetParam().golden,
                  exact ? "exact" : "fast", result.perplexity, reference, 100 * off);
      EXPECT_LT(off, exact ? 0.001 : 0.02) << text.at("text");
    }
  }
}

TEST_P(SlowApi, MemoryStaysWithinFileAndCache) {
  if (!present()) GTEST_SKIP() << "needs " << path();
  const int64_t before = resident_bytes();
  Model model = open(path(), false);
  Generator generator(model, 4096);
  GenerateRequest request;
  request.messages = R"([{"role":"user","content":"Tell me a story."}])";
  request.sampling.temperature = 0;
  request.max_tokens = 40;
  generator.run(request);
  const int64_t early = resident_bytes();
  // Every model here ends an answer sooner or later; what counts is that it is asked again.
  int64_t tokens = 0;
  const int64_t rounds = 20;
  for (int64_t i = 0; i < rounds; ++i) {
    request.sampling.seed = static_cast<uint64_t>(i);
    request.sampling.temperature = 1.0;
    request.max_tokens = 100;
    tokens += generator.run(request).predicted_n;
  }
  const int64_t late = resident_bytes();
  const auto file = static_cast<int64_t>(std::filesystem::file_size(path()));
  const int64_t cache = model.info().kv_bytes_per_token * 256;
  std::printf("%s: resident %.0f MB for a file of %.0f MB, %.0f MB more after %ld tokens\n",
              GetParam().golden, static_cast<double>(early - before) / 1e6,
              static_cast<double>(file) / 1e6, static_cast<double>(late - early) / 1e6,
              static_cast<long>(tokens));
  EXPECT_LT(late - before, file + cache + 200'000'000);
  EXPECT_LT(late - early, 20'000'000 + cache);
}

INSTANTIATE_TEST_SUITE_P(All, SlowApi, ::testing::ValuesIn(testing::kRealModels),
                         testing::real_model_name);

}  // namespace
}  // namespace zhiyin
