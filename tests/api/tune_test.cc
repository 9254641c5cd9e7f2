// The configuration of tuning: what a LLaMA-Factory user's file may hold, and what errors say.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/file.h"
#include "harness/paths.h"
#include "zhiyin/finetune.h"

namespace zhiyin::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr const char* kConfig =
    "model_name_or_path: m\noutput_dir: out\ndataset: a, b\nlora_target: q_proj,v_proj\n"
    "learning_rate: 1.0e-4\nbf16: true\n";

TuneConfig read(const std::string& text, const std::vector<std::string>& overrides = {}) {
  const TemporaryFolder folder;
  write_file(folder / "tune.yaml", text);
  return read_tune_config(folder / "tune.yaml", overrides);
}

std::string error_of(const std::string& text, const std::vector<std::string>& overrides = {}) {
  try {
    read(text, overrides);
  } catch (const Error& e) {
    return e.what();
  }
  return "no error";
}

TEST(TuneConfig, ReadsTheKeysOfLlamaFactory) {
  const TuneConfig config = read(kConfig, {"learning_rate=3e-4", "lora_rank=4"});
  EXPECT_THAT(config.datasets, ElementsAre("a", "b"));
  EXPECT_THAT(config.lora_targets, ElementsAre("q_proj", "v_proj"));
  EXPECT_DOUBLE_EQ(config.learning_rate, 3e-4);
  EXPECT_DOUBLE_EQ(config.lora_alpha, 8) << "twice the rank";
  EXPECT_THAT(config.ignored, ElementsAre(HasSubstr("bf16: ")));
}

TEST(TuneConfig, ErrorsNameTheKeyAndTheRemedy) {
  EXPECT_THAT(error_of(std::string(kConfig) + "learning_rat: 1\n"), HasSubstr("learning_rate"));
  EXPECT_THAT(error_of(kConfig, {"cutoff_len=long"}),
              ::testing::AllOf(HasSubstr("cutoff_len"), HasSubstr("\"long\"")));
  EXPECT_THAT(error_of(kConfig, {"stage=dpo"}), HasSubstr("dpo"));
  EXPECT_THAT(error_of(kConfig, {"gradient_accumulation_steps=0"}), HasSubstr("above 0"));
  EXPECT_THAT(error_of("output_dir: x\n"), HasSubstr("model_name_or_path"));
  EXPECT_THAT(error_of("a: [1"), HasSubstr("line 1"));
}

}  // namespace
}  // namespace zhiyin::testing
