// Thirty updates against transformers, peft and torch in f32 (tests/data/lora).
#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "base/file.h"
#include "harness/paths.h"
#include "io/safetensors.h"
#include "train/golden_rows.h"
#include "train/lora.h"
#include "train/tiny_model.h"

namespace zhiyin::testing {
namespace {

using Json = nlohmann::json;

const Json& golden() {
  static const Json json = Json::parse(read_file(data_path("lora/golden.json")));
  return json;
}

// sqrt(sum (got - wanted)^2 / sum wanted^2)
double relative_difference(const std::vector<float>& got, const std::vector<float>& wanted) {
  EXPECT_EQ(got.size(), wanted.size());
  double difference = 0, length = 0;
  for (size_t i = 0; i < std::min(got.size(), wanted.size()); ++i) {
    const double d = static_cast<double>(got[i]) - static_cast<double>(wanted[i]);
    difference += d * d;
    length += static_cast<double>(wanted[i]) * static_cast<double>(wanted[i]);
  }
  return std::sqrt(difference / length);
}

TrainOptions golden_options(int64_t tokens_per_batch) {
  TrainOptions options;
  options.adamw.weight_decay = golden().at("weight_decay");
  options.max_grad_norm = golden().at("max_grad_norm");
  options.tokens_per_batch = tokens_per_batch;
  return options;
}

struct Case {
  Precision precision;
  int64_t tokens_per_batch;  // 1: every row alone, as the reference; large: the window packed
};

class Golden : public ::testing::TestWithParam<Case> {};

TEST_P(Golden, GradientsOfTheFirstUpdate) {
  TinyModel tiny({.threads = 2, .precision = GetParam().precision});
  Trainer trainer(*tiny.model, tiny.context, golden_options(GetParam().tokens_per_batch),
                  adapter_parameters(*tiny.model));
  const std::vector<TrainRow> rows = rows_of(golden().at("windows").at(0));
  const Trainer::WindowResult result = trainer.window(pointers(rows));
  const SafetensorsFile wanted = open_safetensors(data_path("lora/gradients_step1.safetensors"));
  ASSERT_EQ(wanted.tensors.size(), trainer.parameters().size());
  for (size_t i = 0; i < trainer.parameters().size(); ++i) {
    std::string name = trainer.parameters()[i].name;
    name.replace(name.rfind(".lora_"), 7, name.ends_with("_a") ? ".lora_A" : ".lora_B");
    const TensorEntry* entry = find_tensor(wanted.tensors, name + ".weight");
    ASSERT_NE(entry, nullptr) << name;
    ASSERT_TRUE(result.gradients[i].defined()) << name;
    EXPECT_LT(relative_difference(result.gradients[i].to_vector(), to_floats(*entry)), 1e-4)
        << name;
  }
}

TEST_P(Golden, LossesAndFinalAdapterOfThirtyUpdates) {
  TinyModel tiny({.threads = 2, .precision = GetParam().precision});
  Trainer trainer(*tiny.model, tiny.context, golden_options(GetParam().tokens_per_batch),
                  adapter_parameters(*tiny.model));
  const Json& windows = golden().at("windows");
  for (size_t step = 0; step < windows.size(); ++step) {
    const std::vector<TrainRow> rows = rows_of(windows[step]);
    const StepLog log = trainer.update(pointers(rows), golden().at("lr_of_step").at(step));
    EXPECT_NEAR(log.loss, golden().at("loss_of_step").at(step).get<double>(), 1e-4) << step;
    const double norm = golden().at("grad_norm_before_clip").at(step);
    EXPECT_NEAR(log.grad_norm, norm, 1e-3 * norm) << step;
  }
  const LoraAdapter got = adapter_of(tiny.model->linears(), tiny.adapter);
  const LoraAdapter wanted = read_lora_adapter(data_path("lora/adapter_final"));
  ASSERT_EQ(got.modules.size(), wanted.modules.size());
  for (const auto& [path, factors] : wanted.modules) {
    EXPECT_LT(relative_difference(got.modules.at(path).a, factors.a), 1e-3) << path;
    EXPECT_LT(relative_difference(got.modules.at(path).b, factors.b), 1e-3) << path;
  }
}

INSTANTIATE_TEST_SUITE_P(Reference, Golden,
                         ::testing::Values(Case{Precision::kExact, 1}, Case{Precision::kExact, 512},
                                           Case{Precision::kFast, 1}));

TEST(Schedule, CosineOfTheGoldenRun) {
  const Schedule schedule{ScheduleKind::kCosine, 5e-3, 3, 30};
  for (int64_t k = 0; k < 30; ++k) {
    EXPECT_NEAR(schedule.rate(k),
                golden().at("lr_of_step").at(static_cast<size_t>(k)).get<double>(), 1e-12)
        << k;
  }
}

}  // namespace
}  // namespace zhiyin::testing
