// Tuning a model on conversations: LoRA on the very weights that will be served.
//
// The configuration is a YAML file with the field names of LLaMA-Factory.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "zhiyin/model.h"

namespace zhiyin {

struct TuneConfig {
  std::string model, output_dir, dataset_dir = "data";
  std::vector<std::string> datasets;
  std::string chat_template;              // "qwen" or another ChatML name; empty: the model's own
  std::string system;                     // default_system: of rows that have none
  std::vector<std::string> lora_targets;  // empty: every linear layer
  int64_t lora_rank = 8;
  double lora_alpha = 0;  // 0: twice the rank
  double lora_dropout = 0;
  bool rslora = false;
  int64_t cutoff_len = 2048, max_samples = 0;
  int64_t batch_size = 1, accumulation = 8;  // rows of an update: their product
  double learning_rate = 5e-5, epochs = 3, warmup_ratio = 0, weight_decay = 0, max_grad_norm = 1;
  int64_t max_steps = 0, warmup_steps = 0;
  std::string schedule = "linear";
  uint64_t seed = 42;
  bool train_on_prompt = false, mask_history = false;
  std::string adapter;     // adapter_name_or_path: where training begins; empty: anew
  double val_size = 0;     // rows held out for the evaluation: a share below 1, else a number
  int64_t eval_steps = 0;  // 0: at the end alone
  bool resume = false;     // resume_from_checkpoint: even where overwrite_output_dir is set
  int64_t logging_steps = 10, save_steps = 500;
  bool overwrite_output_dir = false;
  std::string text;                  // the file as it was read, kept beside the result
  std::vector<std::string> ignored;  // keys that mean nothing here, each with the reason
};

// overrides: "key=value", stronger than the file. Throws kNotFound without the file, kUsage for an
// unknown key (naming the nearest) or a value of the wrong type, kUnsupported for what is not
// built.
TuneConfig read_tune_config(const std::string& path, const std::vector<std::string>& overrides);

struct TunePlan {
  int64_t rows = 0, held_out = 0, tokens = 0, labels = 0, updates = 0;
  int64_t resumed_at = 0;          // updates that a checkpoint holds
  std::vector<std::string> notes;  // what was left out and why, what to change
};

struct TuneStep {
  int64_t step, total;
  double loss, rate, grad_norm, tokens_per_second;
};

struct TuneResult {
  int64_t updates = 0;
  double loss = 0;       // of the last update
  double eval_loss = 0;  // of the rows held out, 0 without
  double seconds = 0;
  std::string output_dir;
};

struct TuneCallbacks {
  std::function<void(const TunePlan&)> on_plan;
  std::function<void(const TuneStep&)> on_step;
};

// Writes output_dir: a PEFT adapter, chat_template.jinja (the template of training, for export),
// trainer_log.jsonl with LLaMA-Factory's keys, the configuration, and checkpoint.safetensors, from
// which the same call goes on. Throws kFailed where nothing is left to learn.
class Tuner {
 public:
  Tuner(const TuneConfig& config, const OpenOptions& open);
  ~Tuner();
  TuneResult run(const TuneCallbacks& callbacks);
  // Stops after a checkpoint; safe in a signal handler.
  void cancel() noexcept;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace zhiyin
