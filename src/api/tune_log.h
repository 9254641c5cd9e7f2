// What a tuning run writes about itself: trainer_log.jsonl with the keys of LLaMA-Factory, and the
// plot of its losses.
#pragma once

#include <chrono>
#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>

namespace zhiyin {

// Where a run stands, as every line of the log says it.
struct RunPosition {
  int64_t step = 0, total = 0;
  double epoch = 0;
  int64_t total_tokens = 0;
  int64_t first = 0, tokens_before = 0;  // updates and tokens of processes before this one
};

class TuneLog {
 public:
  // Keeps the lines that a run before this one wrote up to update `step`; those after it belong to
  // updates that no checkpoint holds. The time starts here.
  TuneLog(const std::string& folder, int64_t step);

  // loss: the mean since the last such line.
  void add_loss(const RunPosition& at, double loss, double rate);
  void add_eval_loss(const RunPosition& at, double loss);
  double seconds() const;

  // training_loss.png and training_loss.svg: the losses, a smoothed line as LLaMA-Factory's, and
  // the losses of the rows held out.
  void plot() const;

 private:
  void append(const nlohmann::ordered_json& line);
  nlohmann::ordered_json with_position(nlohmann::ordered_json line, const RunPosition& at) const;

  std::string folder_, lines_;
  std::chrono::steady_clock::time_point start_;
};

}  // namespace zhiyin
