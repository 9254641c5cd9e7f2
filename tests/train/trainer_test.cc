#include "train/trainer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>

#include "base/random.h"
#include "train/collate.h"
#include "train/lora.h"
#include "train/tiny_model.h"
#include "zhiyin/error.h"

namespace zhiyin::testing {
namespace {

std::vector<TrainRow> random_rows(int count, uint64_t seed) {
  Random random(seed);
  std::vector<TrainRow> rows;
  for (int r = 0; r < count; ++r) {
    TrainRow row;
    const uint64_t length = 6 + random.below(20), prompt = 1 + random.below(4);
    for (uint64_t i = 0; i < length; ++i) {
      row.ids.push_back(static_cast<int32_t>(random.below(257)));
      row.labels.push_back(i < prompt ? kIgnoreLabel : row.ids.back());
    }
    rows.push_back(std::move(row));
  }
  return rows;
}

TrainOptions short_run() {
  TrainOptions options;
  options.learning_rate = 3e-3;
  options.rows_per_step = 3;
  options.epochs = 2;
  options.warmup_ratio = 0.1;
  options.tokens_per_batch = 40;
  return options;
}

void with_dropout(LoraAdapter& adapter) { adapter.dropout = 0.3; }

// Losses of a run, and the bytes it ends with.
struct Outcome {
  std::vector<double> losses;
  std::vector<float> values;
  bool operator==(const Outcome&) const = default;
};

Outcome train(int threads, const std::vector<TrainRow>& rows, int64_t stop_at = -1) {
  std::vector<std::vector<float>> saved;
  Outcome outcome;
  const auto log = [&](const StepLog& step) {
    outcome.losses.push_back(step.loss);
    return step.step != stop_at;
  };
  int64_t step = 0;
  if (stop_at > 0) {
    TinyModel tiny({.threads = threads}, with_dropout);
    Trainer trainer(*tiny.model, tiny.context, short_run(), adapter_parameters(*tiny.model));
    trainer.run(rows, log);
    step = trainer.step();
    for (const Trainer::NamedArray& array : trainer.arrays()) {
      saved.emplace_back(array.values.begin(), array.values.end());
    }
  }
  TinyModel tiny({.threads = threads}, with_dropout);
  Trainer trainer(*tiny.model, tiny.context, short_run(), adapter_parameters(*tiny.model));
  for (size_t i = 0; i < saved.size(); ++i) {
    std::copy(saved[i].begin(), saved[i].end(), trainer.arrays()[i].values.begin());
  }
  trainer.set_step(step);
  trainer.run(rows, log);
  for (const Trainer::NamedArray& array : trainer.arrays()) {
    outcome.values.insert(outcome.values.end(), array.values.begin(), array.values.end());
  }
  return outcome;
}

TEST(Trainer, ResumedRunEndsWithTheBytesOfAnUninterruptedOne) {
  const std::vector<TrainRow> rows = random_rows(10, 1);
  const Outcome whole = train(2, rows);
  ASSERT_EQ(whole.losses.size(), 8u);
  EXPECT_EQ(train(2, rows, 3), whole);
  EXPECT_EQ(train(1, rows), whole) << "on one thread";
}

TEST(Trainer, EachEpochTakesEveryRowOnceInAnOrderOfItsOwn) {
  TinyModel tiny({.threads = 1});
  const Trainer trainer(*tiny.model, tiny.context, short_run(), adapter_parameters(*tiny.model));
  EXPECT_EQ(trainer.total_steps(10), 8);
  std::vector<std::vector<int64_t>> epochs(2);
  for (int64_t step = 0; step < 8; ++step) {
    for (const int64_t row : trainer.units_of_step(step, 10)) {
      epochs[static_cast<size_t>(step / 4)].push_back(row);
    }
  }
  EXPECT_NE(epochs[0], epochs[1]);
  for (const std::vector<int64_t>& epoch : epochs) {
    EXPECT_THAT(epoch, ::testing::UnorderedElementsAre(0, 1, 2, 3, 4, 5, 6, 7, 8, 9));
  }
}

// Gradients of a window, flat.
std::vector<float> flat(const Trainer::WindowResult& result) {
  std::vector<float> all;
  for (const Tensor& gradient : result.gradients) {
    const std::vector<float> values = gradient.to_vector();
    all.insert(all.end(), values.begin(), values.end());
  }
  return all;
}

double largest_difference(const std::vector<float>& a, const std::vector<float>& b) {
  EXPECT_EQ(a.size(), b.size());
  double top = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    top = std::max(top, static_cast<double>(std::abs(a[i] - b[i])));
  }
  return top;
}

TEST(Trainer, AWeightOfTwoCountsAsTheRowTwice) {
  std::vector<TrainRow> rows = random_rows(2, 2);
  TinyModel tiny({.threads = 2, .precision = Precision::kExact});
  Trainer trainer(*tiny.model, tiny.context, short_run(), adapter_parameters(*tiny.model));
  const TrainRow* twice[] = {&rows[0], &rows[1], &rows[1]};
  const Trainer::WindowResult wanted = trainer.window(twice);
  rows[1].weight = 2;
  const TrainRow* once[] = {&rows[0], &rows[1]};
  const Trainer::WindowResult got = trainer.window(once);
  EXPECT_NEAR(got.loss, wanted.loss, 1e-5);
  EXPECT_LT(largest_difference(flat(got), flat(wanted)), 1e-5);
}

TEST(Trainer, DropoutActsInTrainingAlone) {
  const std::vector<TrainRow> rows = random_rows(3, 3);
  const TrainRow* window[] = {&rows[0], &rows[1], &rows[2]};
  const auto loss_of = [&](double p, bool training) {
    TinyModel tiny({.threads = 1}, [&](LoraAdapter& adapter) { adapter.dropout = p; });
    Trainer trainer(*tiny.model, tiny.context, short_run(), adapter_parameters(*tiny.model));
    return training ? trainer.window(window).loss : trainer.evaluate(rows);
  };
  EXPECT_NEAR(loss_of(0.5, false), loss_of(0, false), 1e-9);
  EXPECT_NEAR(loss_of(0, true), loss_of(0, false), 1e-5);
  EXPECT_GT(std::abs(loss_of(0.5, true) - loss_of(0, true)), 1e-4);
}

TEST(Trainer, GradientsOfDropoutAreThoseOfTheLossThatWasSeen) {
  // Steps against the gradient lower the loss of the same mask; with another mask on the way back
  // they would not by what the gradient promises.
  const std::vector<TrainRow> rows = random_rows(2, 4);
  const TrainRow* window[] = {&rows[0], &rows[1]};
  TinyModel tiny({.threads = 1, .precision = Precision::kExact}, with_dropout);
  Trainer trainer(*tiny.model, tiny.context, short_run(), adapter_parameters(*tiny.model));
  const Trainer::WindowResult before = trainer.window(window);
  const double norm = global_norm(before.gradients);
  constexpr double kStep = 1e-3;
  for (size_t i = 0; i < before.gradients.size(); ++i) {
    Tensor value = trainer.parameters()[i].value;
    for (int64_t j = 0; j < value.elements(); ++j) {
      value.data()[j] -= static_cast<float>(kStep / norm) * before.gradients[i].data()[j];
    }
  }
  EXPECT_NEAR((before.loss - trainer.window(window).loss) / kStep, norm, 0.02 * norm);
}

TEST(Trainer, KeptActivationsGiveTheBitsOfComputingThemAgain) {
  const std::vector<TrainRow> rows = random_rows(3, 6);
  const TrainRow* window[] = {&rows[0], &rows[1], &rows[2]};
  const auto gradients_of = [&](int64_t bytes) {
    TinyModel tiny({.threads = 2}, with_dropout);
    TrainOptions options = short_run();
    options.activation_bytes = bytes;
    Trainer trainer(*tiny.model, tiny.context, options, adapter_parameters(*tiny.model));
    return flat(trainer.window(window));
  };
  EXPECT_EQ(gradients_of(int64_t{1} << 30), gradients_of(0));
}

TEST(Trainer, CancelledRunKeepsTheLastWholeUpdate) {
  const std::vector<TrainRow> rows = random_rows(10, 5);
  TinyModel tiny({.threads = 1});
  Trainer trainer(*tiny.model, tiny.context, short_run(), adapter_parameters(*tiny.model));
  EXPECT_THROW(trainer.run(rows,
                           [&](const StepLog& log) {
                             if (log.step == 2) tiny.context.cancel();
                             return true;
                           }),
               Cancelled);
  EXPECT_EQ(trainer.step(), 2);
  tiny.context.reset_cancel();
  trainer.run(rows, [](const StepLog&) { return true; });
  EXPECT_EQ(trainer.step(), 8);
}

TEST(Collate, LabelsAreShiftedAndRowsDoNotMeet) {
  const TrainRow a{{1, 2, 3, 4, 5}, {-100, -100, 3, 4, -100}, 1};
  const TrainRow b{{6, 7}, {6, 7}, 3};
  const TrainRow none{{8, 9}, {-100, -100}, 1};
  const TrainRow* rows[] = {&a, &none, &b};
  const std::vector<MicroBatch> batches = collate(rows, 100);
  ASSERT_EQ(batches.size(), 1u);
  EXPECT_THAT(batches[0].batch.ids, ::testing::ElementsAre(1, 2, 3, 6));
  EXPECT_THAT(batches[0].labels, ::testing::ElementsAre(-100, 3, 4, 7));
  EXPECT_THAT(batches[0].weights, ::testing::ElementsAre(1, 1, 1, 3));
  EXPECT_EQ(batches[0].batch.spans.size(), 2u);
  EXPECT_EQ(collate(rows, 3).size(), 2u);
}

TEST(Lora, NewAdapterLeavesTheModelUnchanged) {
  TinyModel tiny({.threads = 1});
  const LoraAdapter adapter = new_adapter(
      tiny.model->linears(), {.rank = 4, .alpha = 8, .targets = {"q_proj", "mlp.up_proj"}});
  EXPECT_EQ(adapter.modules.size(), 4u);
  const LoraFactors& factors = adapter.modules.at("model.layers.1.mlp.up_proj");
  EXPECT_THAT(factors.b, ::testing::Each(0.0f));
  EXPECT_THAT(factors.a,
              ::testing::Each(::testing::AllOf(::testing::Ge(-0.125f), ::testing::Le(0.125f))));
  try {
    new_adapter(tiny.model->linears(), {.rank = 4, .targets = {"k_prj"}});
    FAIL();
  } catch (const Error& e) {
    EXPECT_THAT(e.what(), ::testing::HasSubstr("k_proj"));
  }
}

TEST(Schedule, Values) {
  const Schedule linear{ScheduleKind::kLinear, 1.0, 2, 6};
  EXPECT_DOUBLE_EQ(linear.rate(0), 0.5);
  EXPECT_DOUBLE_EQ(linear.rate(1), 1.0);
  EXPECT_DOUBLE_EQ(linear.rate(4), 0.5);
  const Schedule constant{ScheduleKind::kConstant, 1.0, 2, 6};
  EXPECT_DOUBLE_EQ(constant.rate(0), 1.0);
  const Schedule warm{ScheduleKind::kConstantWithWarmup, 1.0, 4, 6};
  EXPECT_DOUBLE_EQ(warm.rate(0), 0.25);
  EXPECT_DOUBLE_EQ(warm.rate(5), 1.0);
  EXPECT_THROW(schedule_kind("cosin"), Error);
}

}  // namespace
}  // namespace zhiyin::testing
