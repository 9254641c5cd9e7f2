#include "api/tune_plan.h"

#include <algorithm>
#include <chrono>
#include <cmath>

#include "base/stopwatch.h"

namespace zhiyin {
namespace {

RunLength length_of(const TuneConfig& config, int64_t units) {
  return {.rows = units,
          .rows_per_step = config.batch_size * config.accumulation,
          .epochs = config.epochs,
          .max_steps = config.max_steps};
}

}  // namespace

int64_t updates_of(const TuneConfig& config, int64_t units) {
  return length_of(config, units).updates();
}

std::vector<TuneProposal> propose(const TuneConfig& config, int64_t units) {
  std::vector<TuneProposal> proposals;
  const auto add = [&](const char* key, auto now, auto proposed) {
    if (now == proposed) return;
    proposals.push_back({key, static_cast<double>(now), static_cast<double>(proposed)});
  };
  const RunLength now = length_of(config, units), next = longer_run(now);
  if (next.rows_per_step != now.rows_per_step) {
    // Rows are computed together whatever the batch is called, so the product alone counts.
    const int64_t batch = next.rows_per_step % config.batch_size == 0 ? config.batch_size : 1;
    add("per_device_train_batch_size", config.batch_size, batch);
    add("gradient_accumulation_steps", config.accumulation, next.rows_per_step / batch);
  }
  add("num_train_epochs", now.epochs, next.epochs);
  // Users of small data found that rates below this leave the model's old identity in place.
  constexpr int64_t kSmallData = 500;
  constexpr double kLowRate = 1e-4, kRateOfSmallData = 2e-4;
  if (!config.full && units <= kSmallData && config.learning_rate < kLowRate) {
    add("learning_rate", config.learning_rate, kRateOfSmallData);
  }
  return proposals;
}

void take(std::span<const TuneProposal> proposals, TuneConfig& config) {
  for (const TuneProposal& p : proposals) {
    if (p.key == "per_device_train_batch_size") {
      config.batch_size = static_cast<int64_t>(p.proposed);
    } else if (p.key == "gradient_accumulation_steps") {
      config.accumulation = static_cast<int64_t>(p.proposed);
    } else if (p.key == "num_train_epochs") {
      config.epochs = p.proposed;
    } else {
      config.learning_rate = p.proposed;
    }
  }
}

int64_t steps_of(double value, int64_t total) {
  if (value > 0 && value < 1) value = std::ceil(value * static_cast<double>(total));
  return static_cast<int64_t>(value);
}

int64_t evaluation_interval(const TuneConfig& config, int64_t total, int64_t updates_an_epoch) {
  std::string strategy = config.eval_strategy;
  if (strategy.empty()) strategy = config.eval_steps > 0 ? "steps" : "epoch";
  if (strategy == "no") return 0;
  if (strategy == "epoch") return updates_an_epoch;
  return steps_of(config.eval_steps > 0 ? config.eval_steps : config.logging_steps, total);
}

double measured_speed(Trainer& trainer, std::span<const TrainRow> rows) {
  constexpr size_t kWarmTokens = 16, kMeasuredTokens = 256;
  double speed = 0;
  for (const size_t tokens : {kWarmTokens, kMeasuredTokens}) {
    std::vector<TrainRow> sample;
    size_t taken = 0;
    for (const TrainRow& row : rows) {
      if (taken >= tokens) break;
      TrainRow& part = sample.emplace_back(row);
      part.ids.resize(std::min(part.ids.size(), tokens - taken));
      part.labels.resize(part.ids.size());
      if (part.ids.size() < 2) {
        sample.pop_back();
        break;
      }
      // A part without its answer would be left out.
      part.labels.back() = part.ids.back();
      taken += part.ids.size();
    }
    std::vector<const TrainRow*> pointers;
    for (const TrainRow& part : sample) pointers.push_back(&part);
    const auto start = std::chrono::steady_clock::now();
    const int64_t computed = trainer.window(pointers).tokens;
    speed = static_cast<double>(computed) / std::max(1e-9, seconds_since(start));
  }
  return speed;
}

}  // namespace zhiyin
