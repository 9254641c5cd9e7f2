// The part of a tuning run that a checkpoint holds beside the trainer's arrays, and the checkpoint.
#pragma once

#include <cstdint>
#include <map>
#include <nlohmann/json_fwd.hpp>
#include <span>
#include <string>
#include <vector>

#include "train/trainer.h"
#include "zhiyin/finetune.h"

namespace zhiyin {

struct TuneState {
  int64_t total_tokens = 0;
  double last_loss = 0;  // of the last update
  // Of the updates since the last line of the log.
  double loss_sum = 0;
  int64_t loss_count = 0;
  // Of the rows held out.
  int64_t evaluated_at = 0;  // update of the last evaluation
  double last_eval_loss = 0, best_eval_loss = 0;
  int64_t best_step = 0;  // 0: none yet
  int64_t worse_in_a_row = 0;
  // The parameters at best_step, by name; empty where no best state is kept.
  std::map<std::string, std::vector<float>, std::less<>> best;

  // Counts an evaluation; keeps the parameters where it is the best so far and `keep` says so.
  // Returns whether it is.
  bool add_evaluation(int64_t step, double loss, const Trainer& trainer, bool keep);
};

// What must be the same for a checkpoint to go on from, by the keys of the configuration.
nlohmann::ordered_json tune_identity(const TuneConfig& config, std::span<const TrainRow> rows,
                                     std::span<const TrainRow> held_out,
                                     const std::string& chat_template);

// Survives a kill at any moment, see io/checkpoint.h.
void save_tune_checkpoint(const std::string& path, Trainer& trainer, const TuneState& state,
                          const nlohmann::ordered_json& identity);
// Puts a checkpoint back. Throws kFailed, naming what differs, for one of another run.
void load_tune_checkpoint(const std::string& path, Trainer& trainer, TuneState& state,
                          const nlohmann::ordered_json& identity);

}  // namespace zhiyin
