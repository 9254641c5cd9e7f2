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
  EXPECT_THAT(config.ignored,
              ElementsAre(::testing::Field(&TuneNote::english, HasSubstr("bf16: "))));
}

// LLaMA-Factory's examples/train_lora/qwen3_lora_sft.yaml, with the keys that its board writes too.
constexpr const char* kUsersFile = R"(### model
model_name_or_path: Qwen/Qwen2.5-0.5B-Instruct
quantization_bit: 4
quantization_method: bnb
trust_remote_code: true
### method
stage: sft
do_train: true
finetuning_type: lora
lora_target: all
lora_rank: 8
lora_alpha: 16
lora_dropout: 0.05
use_rslora: true
### dataset
dataset: identity,alpaca_en_demo
dataset_dir: data
template: qwen
cutoff_len: 2048
max_samples: 1000
overwrite_cache: true
preprocessing_num_workers: 16
dataloader_num_workers: 4
packing: false
neat_packing: true
train_on_prompt: false
mask_history: false
### output
output_dir: saves/qwen
logging_steps: 10
save_steps: 500
plot_loss: true
overwrite_output_dir: true
save_only_model: false
report_to: none
### train
per_device_train_batch_size: 1
gradient_accumulation_steps: 8
learning_rate: 1.0e-4
num_train_epochs: 3.0
max_steps: -1
lr_scheduler_type: cosine
warmup_ratio: 0.1
warmup_steps: 0
weight_decay: 0.01
max_grad_norm: 1.0
optim: adamw_torch
seed: 42
bf16: true
fp16: false
pure_bf16: false
ddp_timeout: 180000000
resume_from_checkpoint: null
adapter_name_or_path: null
flash_attn: auto
include_num_input_tokens_seen: true
### eval
val_size: 0.1
per_device_eval_batch_size: 1
eval_strategy: steps
eval_steps: 500
)";

TEST(TuneConfig, AUsersFileRunsUnchanged) {
  const TuneConfig config = read(kUsersFile);
  EXPECT_EQ(config.quantization_bit, 4);
  EXPECT_TRUE(config.packing) << "neat_packing packs";
  EXPECT_TRUE(config.rslora);
  EXPECT_EQ(config.max_steps, 0) << "-1: epochs decide";
  EXPECT_FALSE(config.resume);
  EXPECT_EQ(config.adapter, "");
  EXPECT_EQ(config.eval_strategy, "steps");
  for (const auto& [english, chinese] : config.ignored) {
    EXPECT_GT(english.size(), english.find(": ") + 8) << "no reason: " << english;
    EXPECT_GT(chinese.size(), chinese.find("：") + 8) << "no reason: " << chinese;
  }
  EXPECT_EQ(config.ignored.size(), 14u);
}

TEST(TuneConfig, ErrorsNameTheLineAndBothValues) {
  EXPECT_THAT(error_of(std::string(kConfig) + "warmup_steps: many\n"),
              HasSubstr("line 7: warmup_steps: must be a number, not \"many\""));
  EXPECT_THAT(error_of(std::string(kConfig) + "\npacking: [1]\n"),
              HasSubstr("line 8: packing: must be true or false, not a list or map"));
  EXPECT_THAT(error_of(std::string(kConfig) + "eval_strategy: never\n"),
              HasSubstr("it can be no, steps, epoch"));
  EXPECT_THAT(error_of(kConfig, {"finetuning_type=freeze"}), HasSubstr("lora or full"));
  EXPECT_THAT(error_of(kConfig, {"val_size=0.1", "eval_dataset=b"}), HasSubstr("use one of them"));
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
