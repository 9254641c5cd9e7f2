// Trains a model with AdamW: the adapters on its linear layers, or all of it.
//
// Update k of a run is a function of the parameters and moments before it, the rows, the options
// and k alone: order, dropout and rate all follow from the seed and the counter. So a checkpoint
// needs no more than arrays() and step(), and going on from one ends with the same bytes as never
// having stopped, whatever the number of threads.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "models/task.h"
#include "train/adamw.h"
#include "train/dataset.h"
#include "train/packing.h"
#include "train/planner.h"
#include "train/schedule.h"

namespace zhiyin {

struct TrainOptions {
  double learning_rate = 5e-5;
  ScheduleKind schedule = ScheduleKind::kCosine;
  int64_t warmup_steps = 0;  // where 0, ceil(warmup_ratio * updates)
  double warmup_ratio = 0;
  bool warmup_from_zero = false;  // the first update at rate 0, as in transformers
  double epochs = 3;
  int64_t max_steps = 0;  // where above 0, in place of epochs
  int64_t rows_per_step = 8;
  // Tokens computed at a time, and the memory that activations may take before blocks are computed
  // again on the way back. Neither changes what is learned; the memory changes no bit of it.
  int64_t tokens_per_batch = 1024;
  int64_t activation_bytes = 0;
  AdamWOptions adamw;
  double max_grad_norm = 1;
  uint64_t seed = 42;
};

struct StepLog {
  int64_t step = 0, total = 0;  // updates done, of so many
  double loss = 0;              // mean over the labels of the update's rows
  double rate = 0;
  double grad_norm = 0;  // before clipping
  int64_t tokens = 0;    // of the update
  double seconds = 0;
};

class Trainer {
 public:
  struct Parameter {
    std::string name;  // "model.layers.0.self_attn.q_proj.lora_a"
    Tensor value;
  };

  // Trains these parameters of the model: adapter_parameters(), or Weights::parameters() for all of
  // it. The model must outlive it.
  Trainer(CausalLm& model, Context& context, const TrainOptions& options,
          std::vector<Parameter> parameters);

  // All updates from step() on. on_step may return false to stop after it. Throws Cancelled after
  // Context::cancel(); the update under way is then undone, and run() may be called again.
  void run(std::span<const TrainUnit> units, const std::function<bool(const StepLog&)>& on_step);
  void run(std::span<const TrainRow> rows, const std::function<bool(const StepLog&)>& on_step);

  // Updates of a whole run over so many units (rows or packs).
  int64_t total_steps(int64_t units) const;
  // The units of update `step` = 0, 1, …: each epoch in an order of its own, the last update of an
  // epoch with what is left.
  std::vector<int64_t> units_of_step(int64_t step, int64_t units) const;
  // Bytes that a run needs beside the weights of the base, where no row has more tokens.
  int64_t memory_bytes(int64_t longest_row) const;

  struct WindowResult {
    double loss = 0;  // sum over the labels of weight * cross-entropy, by the sum of the weights
    int64_t tokens = 0;
    std::vector<Tensor> gradients;  // of parameters(), before clipping
  };
  WindowResult window(std::span<const TrainRow* const> rows);
  // One update with these rows.
  StepLog update(std::span<const TrainRow* const> rows, double rate);
  // Mean loss over the labels, without dropout.
  double evaluate(std::span<const TrainRow> rows);

  const std::vector<Parameter>& parameters() const { return parameters_; }

  // Everything that changes in a run, by name, to be saved and written back into.
  struct NamedArray {
    std::string name;
    std::span<float> values;
  };
  std::vector<NamedArray> arrays();
  int64_t step() const { return step_; }
  void set_step(int64_t step) { step_ = step; }

 private:
  RunLength length(int64_t units) const;
  // Whether the blocks of a batch keep what they compute for the way back.
  bool keeps_activations(int64_t tokens) const {
    return tokens * bytes_per_token_ <= options_.activation_bytes;
  }
  int64_t kept_bytes() const;  // of released memory, see Allocator
  void set_dropout_seeds(int64_t micro_batch);
  void clear_dropout_seeds();

  CausalLm& model_;
  Context& context_;
  TrainOptions options_;
  std::vector<Parameter> parameters_;
  AdamW optimizer_;
  int64_t bytes_per_token_;  // of activations kept
  int64_t step_ = 0;
};

// The factors of the adapter that each layer got last (nn/attach_adapter.h).
std::vector<Trainer::Parameter> adapter_parameters(CausalLm& model);

}  // namespace zhiyin
