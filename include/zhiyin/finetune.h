// Tuning a model on conversations: LoRA on the very weights that will be served, or all weights of
// a small dense model.
//
// The configuration is a YAML file with the field names of LLaMA-Factory.
#pragma once

#include <compare>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "zhiyin/model.h"

namespace zhiyin {

inline constexpr double kReplayShare = 0.1;

// What a user should know, in both languages of the program.
struct TuneNote {
  std::string english, chinese;

  auto operator<=>(const TuneNote&) const = default;
};

struct TuneConfig {
  std::string model, output_dir, dataset_dir = "data";
  std::vector<std::string> datasets;
  std::string chat_template;     // "qwen", "chatml"; empty: the model's own
  std::string system;            // default_system: of rows that have none, and of the tuned model
  bool full = false;             // finetuning_type: full, else lora
  int64_t quantization_bit = 0;  // 4 or 8: a full-precision base is packed on load
  std::vector<std::string> lora_targets;  // empty: every linear layer
  int64_t lora_rank = 8;
  double lora_alpha = 0;  // 0: twice the rank
  double lora_dropout = 0;
  bool rslora = false;
  int64_t cutoff_len = 2048, max_samples = 0;
  bool packing = false;                      // rows share a unit of cutoff_len tokens
  int64_t batch_size = 1, accumulation = 8;  // rows (or packs) of an update: their product
  double learning_rate = 5e-5, epochs = 3, warmup_ratio = 0, weight_decay = 0, max_grad_norm = 1;
  int64_t max_steps = 0;
  double warmup_steps = 0;        // below 1: a share of all updates, as every number of steps here
  bool warmup_from_zero = false;  // the first update at rate 0, as in transformers
  std::string schedule = "linear";
  uint64_t seed = 42;
  bool train_on_prompt = false, mask_history = false;
  std::string adapter;  // adapter_name_or_path: where training begins; empty: anew
  // Share of what is learned that is refusals of the base's own; replay_refusals: true is
  // kReplayShare.
  double replay_refusals = 0;
  bool plan_auto = false;  // plan: auto, the planner's proposals are taken
  // Rows held out: a share below 1 of the training rows, else a number of them; and whole data
  // sets.
  double val_size = 0;
  std::vector<std::string> eval_datasets;
  std::string eval_strategy;  // "no" (at the end alone), "steps", "epoch"; empty: by eval_steps
  double eval_steps = 0;      // 0: logging_steps where eval_strategy is steps
  int64_t early_stopping_steps = 3;  // evaluations without a better loss that end a run; 0: never
  bool load_best_model_at_end = true;
  bool resume = false;  // resume_from_checkpoint: even where overwrite_output_dir is set
  double logging_steps = 10, save_steps = 500;
  std::string save_strategy = "steps";  // "epoch", "no" (at the end alone)
  bool plot_loss = false;
  bool overwrite_output_dir = false;
  std::string text;               // the file as it was read, kept beside the result
  std::vector<TuneNote> ignored;  // keys that mean nothing here, each with the reason
};

// overrides: "key=value", stronger than the file. Throws kNotFound without the file, kUsage for an
// unknown key (naming the nearest) or a value of the wrong type (naming the line and both), and
// kUnsupported for what is not built.
TuneConfig read_tune_config(const std::string& path, const std::vector<std::string>& overrides);

// A value that would serve the data better.
struct TuneProposal {
  std::string key;
  double now = 0, proposed = 0;
};

struct TunePlan {
  int64_t rows = 0, held_out = 0, tokens = 0, labels = 0;
  int64_t replayed = 0;  // of the rows: refusals of the base
  int64_t units = 0;     // that updates draw from: rows, or packs of rows
  int64_t updates = 0;
  double epochs = 0;
  int64_t resumed_at = 0;  // updates that a checkpoint holds
  int64_t trained_parameters = 0;
  int64_t memory_bytes = 0, free_bytes = 0;   // of the whole process, estimated; of the machine
  double tokens_per_second = 0, seconds = 0;  // measured on a few rows; of what is left to do
  std::vector<TuneProposal> proposals;
  bool proposals_taken = false;  // plan: auto; `now` is then what the configuration said
  int64_t proposed_updates = 0;  // with the proposals
  std::vector<TuneNote> notes;   // what was left out and why
};

struct TuneStep {
  int64_t step, total;
  double loss, rate, grad_norm, tokens_per_second;
};

struct TuneEvaluation {
  int64_t step;
  double loss;
  bool best;  // lower than all before
};

struct TuneResult {
  int64_t updates = 0;
  double loss = 0;        // of the last update
  double eval_loss = 0;   // of the rows held out with what was kept, 0 without such rows
  int64_t best_step = 0;  // the update whose state was kept where it is not the last, else 0
  bool stopped_early = false;
  double seconds = 0;
  std::string output_dir;
};

struct TuneCallbacks {
  // While the base is asked for its refusals, before the plan.
  std::function<void(int64_t done, int64_t total)> on_replay;
  // May return false to end before anything is written.
  std::function<bool(const TunePlan&)> on_plan;
  std::function<void(const TuneStep&)> on_step;
  std::function<void(const TuneEvaluation&)> on_evaluation;
};

// Writes output_dir: a PEFT adapter (or the tuned model), chat_template.jinja (the template of
// training, for export), trainer_log.jsonl with LLaMA-Factory's keys, training_loss.png and .svg,
// the configuration, replayed_refusals.jsonl where the base was asked for some, and
// checkpoint.safetensors, from which the same call goes on. Throws kFailed
// where nothing is left to learn.
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
