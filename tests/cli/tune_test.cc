// zhiyin tune as a user meets it, kills included.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <sstream>

#include "base/random.h"
#include "cli/program.h"
#include "harness/tiny_chat_model.h"

namespace zhiyin::testing {
namespace {

using ::testing::HasSubstr;
using Json = nlohmann::ordered_json;

// A tiny model, rows of letters, and a configuration.
class Project {
 public:
  explicit Project(int rows) {
    write_tiny_chat_model(folder_ / "model");
    Json data = Json::array();
    for (int i = 0; i < rows; ++i) {
      const std::string word(static_cast<size_t>(3 + i % 11), static_cast<char>('a' + i % 26));
      data.push_back({{"instruction", "say " + word}, {"output", word + word}});
    }
    write_file(folder_ / "rows.json", data.dump());
    write_file(folder_ / "dataset_info.json", R"({"rows":{"file_name":"rows.json"}})");
    write_file(folder_ / "tune.yaml",
               "model_name_or_path: " + (folder_ / "model") + "\ndataset_dir: " + folder_.path() +
                   "\ndataset: rows\ntemplate: chatml\nlearning_rate: 2.0e-3\nlora_dropout: 0.1\n"
                   "per_device_train_batch_size: 4\ngradient_accumulation_steps: 1\n"
                   "output_dir: " +
                   output("run") + "\n");
  }

  std::string output(const std::string& name) const { return folder_ / name; }
  std::string config() const { return folder_ / "tune.yaml"; }
  Outcome tune(const std::string& arguments, const std::string& before = {}) const {
    return run_zhiyin("tune " + config() + " --threads 1 " + arguments, before);
  }

 private:
  TemporaryFolder folder_;
};

TEST(Tune, PrintsThePlanAndWhatItDid) {
  const Project project(16);
  const Outcome plan = project.tune("--dry-run bf16=true");
  EXPECT_EQ(plan.code, 0) << plan.error;
  EXPECT_THAT(plan.out, HasSubstr("16 rows"));
  EXPECT_THAT(plan.out, HasSubstr("12 over 3 epochs"));
  EXPECT_THAT(plan.out, HasSubstr("num_train_epochs 3 -> 7"));
  EXPECT_THAT(plan.out, HasSubstr("ignored bf16: "));
  EXPECT_FALSE(file_exists(project.output("run/adapter_config.json")));
  const Outcome chinese = project.tune("--dry-run bf16=true packing=true", "LC_ALL=zh_CN.UTF-8");
  EXPECT_THAT(chinese.out, HasSubstr("忽略 bf16：与量化底模的乘积"));
  EXPECT_THAT(chinese.out, HasSubstr("16 行拼成 "));
  const Outcome run = project.tune("num_train_epochs=1");
  EXPECT_EQ(run.code, 0) << run.error;
  EXPECT_THAT(run.out, HasSubstr("4 updates in 0:0"));
  EXPECT_TRUE(file_exists(project.output("run/adapter_config.json")));
  const Outcome json = project.tune("--json num_train_epochs=1 overwrite_output_dir=true");
  EXPECT_EQ(Json::parse(json.out).at("plan").at("updates"), 4);
}

TEST(Tune, WhatItWritesRunsAndExports) {
  const Project project(16);
  for (const std::string type : {"lora", "full"}) {
    const std::string run = project.output(type), out = project.output(type + "-out");
    const Outcome tuned =
        project.tune("max_steps=2 finetuning_type=" + type + " output_dir=" + run);
    ASSERT_EQ(tuned.code, 0) << tuned.error;
    const Outcome exported =
        run_zhiyin("export " + run + " --out " + out + " --type F16 --no-probe");
    EXPECT_EQ(exported.code, 0) << exported.error;
    EXPECT_TRUE(file_exists(out + "/Modelfile"));
    const Outcome onto_a_file = run_zhiyin("export " + run + " --out " + project.config());
    EXPECT_EQ(onto_a_file.code, 2);
    EXPECT_THAT(onto_a_file.error, HasSubstr("is a file; name a folder"));
    // Said before anything is asked.
    const Outcome no_secrets =
        run_zhiyin("score " + out + "/*.gguf --persona " + source_path("examples/persona.yaml") +
                   " --secrets " + project.output("none.txt"));
    EXPECT_EQ(no_secrets.code, 3);
    EXPECT_THAT(no_secrets.error, HasSubstr("none.txt"));
    EXPECT_EQ(run_zhiyin("run " + out + "/*.gguf hello --max-tokens 2").code, 0);
  }
  const Outcome direct = run_zhiyin("run " + project.output("full") + " hello --max-tokens 2");
  EXPECT_EQ(direct.code, 0) << direct.error;
}

TEST(Tune, MistakesAreOneLineAndACode) {
  const Project project(8);
  const struct {
    const char* arguments;
    int code;
    const char* words;
  } cases[] = {
      {"lora_rnk=8", 2, "the nearest is lora_rank"},
      {"lora_rank=eight", 2, "lora_rank: must be a whole number, not \"eight\""},
      {"lr_scheduler_type=cos", 2, "cosine"},
      {"stage=dpo", 4, "dpo"},
      {"quantization_bit=3", 4, "4 (Q4_K_M) or 8 (Q8_0)"},
      {"train_on_prompt=true mask_history=true", 2, "mask_history"},
      {"dataset=other", 3, "the nearest is rows"},
      {"template=llama3", 4, "llama3"},
      {"output_dir=/dev/null", 2, "/dev/null is a file; name a folder"},
      {"replay_refusals=0.9", 2, "a share from 0 to 0.5"},
  };
  for (const auto& c : cases) {
    const Outcome outcome = project.tune(c.arguments);
    EXPECT_EQ(outcome.code, c.code) << c.arguments << ": " << outcome.error;
    EXPECT_THAT(outcome.error, HasSubstr(c.words)) << c.arguments;
    EXPECT_EQ(std::count(outcome.error.begin(), outcome.error.end(), '\n'), 1) << outcome.error;
  }
}

TEST(Tune, APoliteKillLeavesACheckpointAndSaysSo) {
  const Project project(64);
  const std::string arguments = "num_train_epochs=1000 logging_steps=1";
  // Killed once an update is logged; twice by the same process, which timeout(1) does too.
  const Outcome outcome = project.tune(
      arguments, "sh -c '\"$@\" & until [ -s " + project.output("run/trainer_log.jsonl") +
                     " ]; do sleep 0.05; done; kill $!; sleep 0.01; kill $!; wait $!' sh");
  EXPECT_EQ(outcome.code, 1);
  EXPECT_THAT(outcome.error, HasSubstr("resume_from_checkpoint=true goes on from there"));
  const Outcome plan = project.tune(arguments + " --dry-run");
  EXPECT_EQ(plan.code, 0) << plan.error;
  EXPECT_THAT(plan.out, HasSubstr("going on at "));
}

TEST(Tune, GoesOnWhenNobodyReadsItsOutput) {
  const Project project(16);
  // The reader ends at once.
  const std::string program = std::getenv("ZHIYIN_PROGRAM");
  EXPECT_EQ(std::system((program + " tune " + project.config() +
                         " num_train_epochs=20 logging_steps=1 2>/dev/null </dev/null | true")
                            .c_str()),
            0);
  EXPECT_TRUE(file_exists(project.output("run/adapter_config.json")));
}

// Killed at random moments, then left alone: the same bytes as a run that nobody disturbed.
TEST(SlowTune, KilledAtTwentyRandomMomentsItEndsWithTheSameBytes) {
  const Project project(64);
  const std::string arguments =
      "num_train_epochs=12 val_size=8 eval_steps=7 early_stopping_steps=0 save_steps=3 "
      "logging_steps=2 output_dir=";
  ASSERT_EQ(project.tune(arguments + project.output("whole")).code, 0);
  const auto bytes_of = [&](const char* name) {
    return read_file(project.output(name) + "/adapter_model.safetensors");
  };
  const auto log_of = [&](const char* name) {
    std::vector<std::string> steps;
    std::istringstream in(read_file(project.output(name) + "/trainer_log.jsonl"));
    for (std::string line; std::getline(in, line);) {
      const Json json = Json::parse(line);
      steps.push_back(json.at("current_steps").dump() + " " + json.value("loss", Json()).dump() +
                      " " + json.value("eval_loss", Json()).dump());
    }
    return steps;
  };
  constexpr uint64_t kSeed = 20;
  Random random(kSeed);
  int killed = 0, finished = 0;
  while (killed < 20 || finished == 0) {
    // Long enough to get past the start, short enough that some runs are hit several times.
    const uint64_t milliseconds = killed < 20 ? 60 + random.below(500) : 600000;
    const std::string seconds = std::to_string(static_cast<double>(milliseconds) / 1000);
    const Outcome outcome =
        project.tune(arguments + project.output("killed"), "timeout -s KILL " + seconds);
    if (outcome.code == 137) {
      ++killed;
      continue;
    }
    ASSERT_EQ(outcome.code, 0) << outcome.error;
    ++finished;
    ASSERT_TRUE(bytes_of("killed") == bytes_of("whole")) << "after " << killed << " kills";
    EXPECT_EQ(log_of("killed"), log_of("whole"));
    for (const auto& entry : std::filesystem::directory_iterator(project.output("killed"))) {
      EXPECT_THAT(entry.path().string(), ::testing::Not(HasSubstr(".tmp-")));
    }
    std::filesystem::remove_all(project.output("killed"));
  }
  std::cout << killed << " kills, " << finished << " runs\n";
}

}  // namespace
}  // namespace zhiyin::testing
