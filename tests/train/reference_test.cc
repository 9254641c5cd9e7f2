// Schedules, rsLoRA, full fine-tuning, packing and dropout against transformers, peft and torch
// (tools/golden/make_training.py), and a quantised base against its own decoded weights.
#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "base/file.h"
#include "io/load_weights.h"
#include "io/safetensors.h"
#include "train/golden_rows.h"
#include "train/tiny_model.h"

namespace zhiyin::testing {
namespace {

using Json = nlohmann::json;

const Json& golden() {
  static const Json json = Json::parse(read_file(data_path("lora/training.json")));
  return json;
}

// Window `index` of the golden run.
std::vector<TrainRow> window_rows(size_t index) {
  static const Json windows = Json::parse(read_file(data_path("lora/golden.json"))).at("windows");
  return rows_of(windows.at(index));
}

constexpr ContextOptions kExactly{.threads = 2, .kernels = nullptr, .precision = Precision::kExact};

// Updates over the windows with what the golden run says; losses and norms must be its.
void expect_updates(Trainer& trainer, const Json& run) {
  const Json& losses = run.at("loss_of_step");
  for (size_t step = 0; step < losses.size(); ++step) {
    const std::vector<TrainRow> rows = window_rows(step);
    const StepLog log = trainer.update(pointers(rows), run.at("lr"));
    EXPECT_NEAR(log.loss, losses[step].get<double>(), 1e-4) << step;
    const double norm = run.at("grad_norm_before_clip").at(step);
    EXPECT_NEAR(log.grad_norm, norm, 1e-3 * norm) << step;
  }
}

TEST(Reference, SchedulesOfTransformers) {
  const Json& g = golden().at("schedules");
  for (const auto& [name, rates] : g.at("rates").items()) {
    Schedule schedule{.kind = schedule_kind(name),
                      .peak = g.at("peak"),
                      .warmup_steps = g.at("warmup_steps"),
                      .total_steps = g.at("total_steps"),
                      .from_zero = true};
    for (int64_t k = 0; k < schedule.total_steps; ++k) {
      EXPECT_NEAR(schedule.rate(k), rates.at(static_cast<size_t>(k)).get<double>(), 1e-12)
          << name << " at " << k;
    }
    // Ours differs in the warm-up alone, where it is one update ahead.
    Schedule ours = schedule;
    ours.from_zero = false;
    for (int64_t k = 0; k < schedule.total_steps; ++k) {
      EXPECT_DOUBLE_EQ(ours.rate(k),
                       k < schedule.warmup_steps ? schedule.rate(k + 1) : schedule.rate(k));
    }
  }
}

TEST(Reference, RsLora) {
  TinyModel tiny(kExactly, [](LoraAdapter& adapter) { adapter.rslora = true; });
  TrainOptions options;
  options.adamw.weight_decay = 0.01;
  Trainer trainer(*tiny.model, tiny.context, options, adapter_parameters(*tiny.model));
  expect_updates(trainer, golden().at("rslora"));
}

TEST(Reference, FullFineTuning) {
  Context context(kExactly);
  const ModelFiles files = open_model_files(data_path("lora/base"), "");
  const Weights weights = load_weights(context, files);
  weights.make_trainable();
  const std::unique_ptr<CausalLm> model = make_causal_lm(*files.config, weights);
  std::vector<Trainer::Parameter> parameters;
  for (const auto& [name, value] : weights.parameters()) parameters.push_back({name, value});
  ASSERT_EQ(parameters.size(), files.tensors.size());
  TrainOptions options;
  options.adamw.weight_decay = 0.1;
  Trainer trainer(*model, context, options, parameters);
  expect_updates(trainer, golden().at("full"));
  const SafetensorsFile wanted = open_safetensors(data_path("lora/full_final.safetensors"));
  for (const TensorEntry& tensor : wanted.tensors) {
    for (const Trainer::Parameter& p : trainer.parameters()) {
      if (p.name != tensor.name) continue;
      const std::vector<float> got = p.value.to_vector(), want = to_floats(tensor);
      double difference = 0, length = 0;
      for (size_t i = 0; i < want.size(); ++i) {
        difference += std::pow(static_cast<double>(got[i]) - static_cast<double>(want[i]), 2);
        length += std::pow(static_cast<double>(want[i]), 2);
      }
      EXPECT_LT(std::sqrt(difference / length), 1e-4) << p.name;
    }
  }
}

TEST(Reference, PackedRowsDoNotSeeEachOther) {
  std::vector<TrainRow> rows = window_rows(0);
  for (TrainRow& row : window_rows(1)) rows.push_back(std::move(row));
  const std::vector<TrainUnit> units = packed_units(rows, 1000);
  ASSERT_EQ(units.size(), 1u);
  TinyModel tiny(kExactly);
  TrainOptions options;
  options.tokens_per_batch = 1000;
  Trainer trainer(*tiny.model, tiny.context, options, adapter_parameters(*tiny.model));
  const Trainer::WindowResult got = trainer.window(units[0]);
  const Json& packed = golden().at("packed");
  const double loss = packed.at("neat").at("loss"), norm = packed.at("neat").at("grad_norm");
  EXPECT_NEAR(got.loss, loss, 1e-5);
  EXPECT_NEAR(global_norm(got.gradients), norm, 1e-4 * norm);
  // The reference sees the difference, so this test does.
  EXPECT_GT(std::abs(packed.at("with_cross_talk").at("loss").get<double>() - loss), 1e-3);
}

TEST(Reference, DropoutHasTheDistributionOfTorch) {
  const Json& g = golden().at("dropout");
  TinyModel tiny(kExactly, [&](LoraAdapter& adapter) { adapter.dropout = g.at("p"); });
  Trainer trainer(*tiny.model, tiny.context, {}, adapter_parameters(*tiny.model));
  const std::vector<TrainRow> rows = window_rows(0);
  const auto times = g.at("times").get<int64_t>();
  double sum = 0, squares = 0;
  for (int64_t i = 0; i < times; ++i) {
    trainer.set_step(i);
    const double loss = trainer.window(pointers(rows)).loss;
    sum += loss;
    squares += loss * loss;
  }
  const auto n = static_cast<double>(times);
  const double mean = sum / n, deviation = std::sqrt((squares - sum * mean) / (n - 1));
  const double wanted = g.at("deviation");
  // Both means are of n draws; five standard errors. A deviation of n draws is known to 1 /
  // sqrt(2n).
  EXPECT_NEAR(mean, g.at("mean").get<double>(), 5 * wanted * std::sqrt(2 / n));
  EXPECT_NEAR(deviation, wanted, 5 * wanted / std::sqrt(n));
}

// Gradients of the adapter on the packed base, decoded or not.
std::vector<float> gradients_on(Mix mix, bool decoded, Precision precision) {
  Context context({.threads = 2, .kernels = nullptr, .precision = precision});
  const ModelFiles files = open_model_files(data_path("lora/base"), "");
  const Weights weights = load_packed_weights(context, files, mix);
  if (decoded) weights.make_trainable();
  const std::unique_ptr<CausalLm> model = make_causal_lm(*files.config, weights);
  attach_adapter(context, read_lora_adapter(data_path("lora/adapter_initial")), model->linears(),
                 "adapter_initial");
  Trainer trainer(*model, context, {}, adapter_parameters(*model));
  const std::vector<TrainRow> rows = window_rows(0);
  std::vector<float> all;
  for (const Tensor& gradient : trainer.window(pointers(rows)).gradients) {
    const std::vector<float> values = gradient.to_vector();
    all.insert(all.end(), values.begin(), values.end());
  }
  return all;
}

double relative_difference(const std::vector<float>& a, const std::vector<float>& b) {
  EXPECT_EQ(a.size(), b.size());
  double difference = 0, length = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    difference += std::pow(static_cast<double>(a[i]) - static_cast<double>(b[i]), 2);
    length += std::pow(static_cast<double>(b[i]), 2);
  }
  return std::sqrt(difference / length);
}

TEST(Reference, GradientsOnAQuantisedBaseAreThoseOnItsDecodedWeights) {
  const std::vector<float> plain = gradients_on(Mix::kF32, true, Precision::kExact);
  for (const Mix mix : {Mix::kQ4_0, Mix::kQ8_0, Mix::kQ4_K_M, Mix::kQ6_K, Mix::kIQ4_NL}) {
    const std::vector<float> wanted = gradients_on(mix, true, Precision::kExact);
    EXPECT_LT(relative_difference(gradients_on(mix, false, Precision::kExact), wanted), 1e-5)
        << mix_info(mix).name;
    // Products in bf16.
    EXPECT_LT(relative_difference(gradients_on(mix, false, Precision::kFast), wanted), 0.03)
        << mix_info(mix).name;
    EXPECT_GT(relative_difference(plain, wanted), 1e-3) << "the base is not rounded";
  }
}

// A block that is computed again must give what it gave before its gradient was asked for, also
// where products without a tape would round their input to 8 bits.
TEST(Reference, BlocksComputedAgainGiveTheSameBitsOnPreparedWeights) {
  for (const Isa isa : {Isa::kRef, Isa::kAvx2, Isa::kAvx512, Isa::kAmx}) {
    const KernelTable* table = kernel_table(isa);
    if (table == nullptr) continue;
    const auto run = [&](int64_t activation_bytes) {
      Context context({.threads = 2, .kernels = table, .precision = Precision::kFast});
      const ModelFiles files = open_model_files(data_path("lora/base"), "");
      const Weights weights = load_packed_weights(context, files, Mix::kQ4_0);
      const std::unique_ptr<CausalLm> model = make_causal_lm(*files.config, weights);
      for (const Weight& weight : model->frozen_matrices()) weight.prepare(context);
      attach_adapter(context, read_lora_adapter(data_path("lora/adapter_initial")),
                     model->linears(), "adapter_initial");
      TrainOptions options;
      options.activation_bytes = activation_bytes;
      options.tokens_per_batch = 1;  // each row alone: few rows a product
      Trainer trainer(*model, context, options, adapter_parameters(*model));
      const std::vector<TrainRow> rows = window_rows(0);
      std::vector<float> all;
      const Trainer::WindowResult result = trainer.window(pointers(rows));
      all.push_back(static_cast<float>(result.loss));
      for (const Tensor& gradient : result.gradients) {
        const std::vector<float> values = gradient.to_vector();
        all.insert(all.end(), values.begin(), values.end());
      }
      return all;
    };
    EXPECT_TRUE(run(0) == run(int64_t{1} << 30)) << static_cast<int>(isa);
  }
}

}  // namespace
}  // namespace zhiyin::testing
