// Tuning from a YAML to files, on a tiny model of random weights.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <sstream>

#include "api/tune_plan.h"
#include "base/error.h"
#include "base/file.h"
#include "harness/open_options.h"
#include "harness/tiny_chat_model.h"
#include "io/lora_file.h"
#include "zhiyin/finetune.h"

namespace zhiyin::testing {
namespace {

using ::testing::Contains;
using ::testing::Field;
using ::testing::HasSubstr;
using Json = nlohmann::ordered_json;

class TuneRun : public ::testing::Test {
 protected:
  TuneRun() {
    write_tiny_chat_model(folder_ / "model");
    Json rows = Json::array(), held = Json::array();
    for (int i = 0; i < 24; ++i) {
      const std::string name = std::string(1, static_cast<char>('a' + i));
      rows.push_back({{"instruction", "say " + name}, {"output", name + name + name}});
      // The same task for other letters.
      if (i % 6 == 0) held.push_back({{"instruction", "say " + name}, {"output", "no " + name}});
    }
    write_file(folder_ / "rows.json", rows.dump());
    write_file(folder_ / "held.json", held.dump());
    write_file(folder_ / "dataset_info.json",
               R"({"rows":{"file_name":"rows.json"},"held":{"file_name":"held.json"}})");
  }

  TuneConfig config(const std::vector<std::string>& overrides) const {
    write_file(folder_ / "tune.yaml",
               "model_name_or_path: " + (folder_ / "model") + "\noutput_dir: " + (folder_ / "run") +
                   "\ndataset_dir: " + folder_.path() +
                   "\ndataset: rows\ntemplate: chatml\nlearning_rate: 5.0e-3\n"
                   "per_device_train_batch_size: 8\ngradient_accumulation_steps: 1\n"
                   "logging_steps: 1\noverwrite_output_dir: true\n");
    return read_tune_config(folder_ / "tune.yaml", overrides);
  }

  struct Outcome {
    TunePlan plan;
    TuneResult result;
    std::vector<double> losses;
    std::vector<TuneEvaluation> evaluations;
  };
  Outcome run(const std::vector<std::string>& overrides, int64_t cancel_after = 0) {
    Outcome outcome;
    Tuner tuner(config(overrides), one_thread());
    outcome.result = tuner.run(
        {.on_replay = {},
         .on_plan =
             [&](const TunePlan& plan) {
               outcome.plan = plan;
               return true;
             },
         .on_step =
             [&](const TuneStep& step) {
               outcome.losses.push_back(step.loss);
               if (step.step == cancel_after) tuner.cancel();
             },
         .on_evaluation =
             [&](const TuneEvaluation& evaluation) { outcome.evaluations.push_back(evaluation); }});
    return outcome;
  }

  std::vector<Json> log() const {
    std::vector<Json> lines;
    std::istringstream in(read_file(folder_ / "run/trainer_log.jsonl"));
    for (std::string line; std::getline(in, line);) lines.push_back(Json::parse(line));
    return lines;
  }
  std::string adapter() const { return read_file(folder_ / "run/adapter_model.safetensors"); }

  TemporaryFolder folder_;
};

TEST_F(TuneRun, WritesAdapterLogAndPlots) {
  const Outcome outcome = run({"num_train_epochs=4", "plot_loss=true", "lora_rank=4"});
  EXPECT_EQ(outcome.plan.rows, 24);
  EXPECT_EQ(outcome.plan.updates, 12);
  EXPECT_GT(outcome.plan.memory_bytes, 100000);
  EXPECT_GT(outcome.plan.tokens_per_second, 0);
  EXPECT_LT(outcome.losses.back(), outcome.losses.front());
  EXPECT_EQ(read_lora_adapter(folder_ / "run").rank, 4);
  const std::vector<Json> lines = log();
  ASSERT_EQ(lines.size(), 12u);
  for (const char* key : {"current_steps", "total_steps", "loss", "lr", "epoch", "percentage",
                          "elapsed_time", "remaining_time", "throughput", "total_tokens"}) {
    EXPECT_TRUE(lines.back().contains(key)) << key;
  }
  EXPECT_EQ(lines.back().at("percentage"), 100.0);
  EXPECT_EQ(lines.back().at("epoch"), 4.0);
  EXPECT_THAT(lines.back().at("elapsed_time").get<std::string>(),
              ::testing::MatchesRegex("[0-9]+:[0-9][0-9]:[0-9][0-9]"));
  EXPECT_THAT(read_file(folder_ / "run/training_loss.png"), HasSubstr("PNG"));
  EXPECT_THAT(read_file(folder_ / "run/training_loss.svg"), HasSubstr("</svg>"));
}

TEST_F(TuneRun, LogsTheMeanSinceTheLastLine) {
  const Outcome outcome = run({"num_train_epochs=2", "logging_steps=4"});
  const std::vector<Json> lines = log();
  ASSERT_EQ(lines.size(), 2u);
  double sum = 0;
  for (int i = 0; i < 4; ++i) sum += outcome.losses[static_cast<size_t>(i)];
  EXPECT_NEAR(lines[0].at("loss").get<double>(), sum / 4, 6e-5);
  EXPECT_NEAR(lines[1].at("loss").get<double>(), (outcome.losses[4] + outcome.losses[5]) / 2, 6e-5);
}

TEST_F(TuneRun, PlannerProposesAndPlanAutoTakesIt) {
  const Outcome shown = run({"num_train_epochs=1"});
  EXPECT_EQ(shown.plan.updates, 3);
  EXPECT_FALSE(shown.plan.proposals_taken);
  // 24 rows: 2 rows an update for 9 epochs.
  EXPECT_EQ(shown.plan.proposed_updates, 108);
  const Outcome taken = run({"num_train_epochs=1", "plan=auto"});
  EXPECT_TRUE(taken.plan.proposals_taken);
  EXPECT_EQ(taken.result.updates, 108);
}

TEST(Planner, ThePlanOfTheIssue) {
  TuneConfig config;
  config.batch_size = 8;
  config.accumulation = 1;
  config.learning_rate = 1e-4;
  EXPECT_EQ(updates_of(config, 128), 48);
  take(propose(config, 128), config);
  EXPECT_EQ(config.batch_size * config.accumulation, 4);
  EXPECT_EQ(config.epochs, 4);
  EXPECT_EQ(updates_of(config, 128), 128);
  EXPECT_TRUE(propose(config, 128).empty());
  // One that the user counted.
  config.max_steps = 10;
  EXPECT_TRUE(propose(config, 128).empty());
}

TEST_F(TuneRun, KeepsTheBestStateAndStopsEarly) {
  const Outcome outcome = run(
      {"num_train_epochs=40", "eval_dataset=held", "early_stopping_steps=2", "learning_rate=2e-2"});
  ASSERT_TRUE(outcome.result.stopped_early);
  EXPECT_LT(outcome.result.updates, 120);
  ASSERT_GE(outcome.evaluations.size(), 3u);
  double best = 1e9;
  int64_t best_step = 0;
  for (const TuneEvaluation& e : outcome.evaluations) {
    EXPECT_EQ(e.best, e.loss < best);
    EXPECT_EQ(e.step % 3, 0) << "every epoch";
    if (e.best) best = e.loss, best_step = e.step;
  }
  EXPECT_EQ(outcome.result.best_step, best_step);
  EXPECT_DOUBLE_EQ(outcome.result.eval_loss, best);
  EXPECT_EQ(outcome.evaluations.back().step, best_step + 6);
  // The adapter that was written is the best one.
  const Outcome again = run({"adapter_name_or_path=" + (folder_ / "run"), "max_steps=1",
                             "learning_rate=1e-12", "eval_dataset=held"});
  EXPECT_NEAR(again.result.eval_loss, best, 1e-5);
}

TEST_F(TuneRun, EvaluatesWhenTheConfigurationSays) {
  const auto steps_of_evaluations = [&](const std::vector<std::string>& overrides) {
    std::vector<std::string> all = {"num_train_epochs=4", "eval_dataset=held",
                                    "early_stopping_steps=0"};
    all.insert(all.end(), overrides.begin(), overrides.end());
    std::vector<int64_t> steps;
    for (const TuneEvaluation& e : run(all).evaluations) steps.push_back(e.step);
    return steps;
  };
  using ::testing::ElementsAre;
  EXPECT_THAT(steps_of_evaluations({}), ElementsAre(3, 6, 9, 12));
  EXPECT_THAT(steps_of_evaluations({"eval_strategy=no"}), ElementsAre(12));
  EXPECT_THAT(steps_of_evaluations({"eval_steps=500"}), ElementsAre(12));
  EXPECT_THAT(steps_of_evaluations({"eval_steps=5"}), ElementsAre(5, 10, 12));
  EXPECT_THAT(steps_of_evaluations({"eval_strategy=steps", "eval_steps=0.5"}), ElementsAre(6, 12));
}

TEST_F(TuneRun, GoesOnAfterAStopWithTheSameBytes) {
  const std::vector<std::string> overrides = {"num_train_epochs=4", "eval_dataset=held",
                                              "lora_dropout=0.2", "save_steps=5",
                                              "overwrite_output_dir=false"};
  run(overrides);
  const std::string whole = adapter();
  for (const int64_t stop : {1, 5, 6, 11}) {
    std::filesystem::remove_all(folder_ / "run");
    EXPECT_THROW(run(overrides, stop), Error);
    const Outcome rest = run(overrides);
    EXPECT_EQ(rest.plan.resumed_at, stop);
    EXPECT_EQ(adapter(), whole) << "stopped after " << stop;
    EXPECT_EQ(log().size(), 12u + 4u);
  }
  // Another run's checkpoint is refused.
  EXPECT_THROW(run({"num_train_epochs=5", "overwrite_output_dir=false"}), Error);
}

TEST_F(TuneRun, PacksRowsIntoFewerUnits) {
  const Outcome outcome = run({"num_train_epochs=1", "packing=true", "cutoff_len=130"});
  EXPECT_EQ(outcome.plan.rows, 24);
  EXPECT_LT(outcome.plan.units, 13);
  EXPECT_GT(outcome.plan.units, 7);
}

TEST_F(TuneRun, ReplaysWhatTheBaseRefusedAndAsksOnce) {
  const std::string file = folder_ / "run/replayed_refusals.jsonl";
  const std::vector<std::string> overrides = {"replay_refusals=0.2", "num_train_epochs=2",
                                              "overwrite_output_dir=false", "val_size=4"};
  // Random weights refuse nothing; the rows are those of the data.
  EXPECT_EQ(run(overrides).plan.replayed, 0);
  std::string said = read_file(file);
  EXPECT_GT(std::count(said.begin(), said.end(), '\n'), 24);
  // As if the base had refused twice.
  for (int i = 0; i < 2; ++i) {
    const std::string why = R"("left_out":"answered by the base")";
    said.replace(said.find(why), why.size(), R"("left_out":"")");
  }
  const auto anew = [&] {
    std::filesystem::remove_all(folder_ / "run");
    std::filesystem::create_directory(folder_ / "run");
    write_file(file, said);
  };
  anew();
  const Outcome whole = run(overrides);
  EXPECT_EQ(whole.plan.replayed, 2);
  EXPECT_EQ(whole.plan.rows, 22);
  EXPECT_EQ(whole.plan.held_out, 4);
  EXPECT_THAT(whole.plan.notes,
              Contains(Field(&TuneNote::english, HasSubstr("replay_refusals: 2 of "))));
  EXPECT_EQ(read_file(file), said);
  const std::string bytes = adapter();
  anew();
  EXPECT_THROW(run(overrides, 2), Error);
  const Outcome rest = run(overrides);
  EXPECT_EQ(rest.plan.resumed_at, 2);
  EXPECT_EQ(adapter(), bytes);
  // Without the file the base is asked again, and the checkpoint is of other rows.
  std::filesystem::remove(file);
  EXPECT_THROW(run(overrides), Error);
  EXPECT_THROW(run({"replay_refusals=0.7"}), Error);
  EXPECT_EQ(config({"replay_refusals=true"}).replay_refusals, kReplayShare);
  EXPECT_EQ(config({"replay_refusals=false"}).replay_refusals, 0);
}

TEST_F(TuneRun, TrainsAllWeightsAndWritesAModelThatOpens) {
  const Outcome outcome = run({"finetuning_type=full", "train_on_prompt=true",
                               "num_train_epochs=20", "learning_rate=5e-3"});
  EXPECT_LT(outcome.losses.back(), 0.8 * outcome.losses.front());
  Model tuned = Model::open(folder_ / "run", exactly());
  EXPECT_TRUE(tuned.has_template());
  const std::string text =
      "<|im_start|>user\nsay c<|im_end|>\n<|im_start|>assistant\nccc<|im_end|>\n";
  const std::vector<int32_t> ids = tuned.tokenize(text, true);
  const double after = tuned.evaluate(ids, 0, "", {}).mean_nll;
  Model base = Model::open(folder_ / "model", exactly());
  EXPECT_LT(after, base.evaluate(ids, 0, "", {}).mean_nll);
  EXPECT_THROW(config({"finetuning_type=full", "quantization_bit=4"}), Error);
  // The folder belongs to the model now; a second run may replace it, an adapter may not join it.
  run({"finetuning_type=full", "max_steps=1"});
  EXPECT_THROW(run({"max_steps=1"}), Error);
  EXPECT_THROW(run({"max_steps=1", "output_dir=" + (folder_ / "model")}), Error);
  EXPECT_THROW(run({"finetuning_type=full", "max_steps=1", "output_dir=" + (folder_ / "model")}),
               Error);
}

TEST_F(TuneRun, PacksAFullPrecisionBaseOnLoad) {
  const Outcome plain = run({"num_train_epochs=2"});
  const Outcome packed = run({"num_train_epochs=2", "quantization_bit=4"});
  EXPECT_LT(packed.plan.memory_bytes, plain.plan.memory_bytes);
  EXPECT_NE(packed.losses, plain.losses);
  EXPECT_NEAR(packed.losses.front(), plain.losses.front(), 0.1 * plain.losses.front());
  EXPECT_THAT(packed.plan.notes, Contains(Field(&TuneNote::english, HasSubstr("Q4_K_M"))));
}

TEST_F(TuneRun, RefusesWhatCannotBeLearned) {
  const auto error_of = [&](const std::vector<std::string>& overrides) -> std::string {
    try {
      run(overrides);
    } catch (const Error& e) {
      return e.what();
    }
    return "no error";
  };
  EXPECT_THAT(error_of({"dataset=row"}), HasSubstr("the nearest is rows"));
  EXPECT_THAT(error_of({"template=auto"}), HasSubstr("template: chatml"));
  EXPECT_THAT(error_of({"cutoff_len=4"}), HasSubstr("cutoff_len 4"));
  EXPECT_THAT(error_of({"val_size=24"}), HasSubstr("val_size"));
  write_file(folder_ / "masked.json",
             R"([{"conversations":[{"from":"human","value":"a"},
                 {"from":"gpt","value":"b","loss_weight":0}]}])");
  write_file(folder_ / "empty.json", "[]");
  write_file(folder_ / "dataset_info.json",
             R"({"masked":{"file_name":"masked.json","formatting":"sharegpt"},
                 "empty":{"file_name":"empty.json"}})");
  EXPECT_THAT(error_of({"dataset=masked"}), HasSubstr("1 × every answer is masked"));
  EXPECT_THAT(error_of({"dataset=empty"}), HasSubstr("the data sets are empty"));
}

}  // namespace
}  // namespace zhiyin::testing
