// Data sets of conversations into rows of tokens to train on.
#pragma once

#include <cstdint>
#include <map>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "text/chat_template/chat_template.h"
#include "text/tokenizer.h"
#include "train/dataset.h"
#include "zhiyin/finetune.h"

namespace zhiyin {

// Reads the data sets that dataset_info.json names, as LLaMA-Factory lays them out (alpaca;
// sharegpt with any tags, OpenAI's messages among them), renders each conversation with one
// template and labels its answers. No answer is cut: a row longer than cutoff_len is split between
// exchanges, and a single exchange that is too long is left out and counted.
class TuneRows {
 public:
  // All must outlive it.
  TuneRows(const TuneConfig& config, const Tokenizer& tokenizer, const ChatTemplate& chat_template);

  // Throws kNotFound for a data set or file that is not there, kFailed, naming the row, for one
  // that does not have what the layout says.
  void add_dataset(const std::string& name);

  std::vector<TrainRow> rows;
  int64_t split = 0;                        // conversations made into several rows
  std::map<std::string, int64_t> left_out;  // conversations and exchanges, by reason

 private:
  struct Layout;
  // messages: role and content, in the roles of chat templates.
  void add_conversation(nlohmann::ordered_json messages, float weight);
  TrainRow row_of(const nlohmann::ordered_json& messages) const;

  const TuneConfig& config_;
  const Tokenizer& tokenizer_;
  const ChatTemplate& template_;
};

}  // namespace zhiyin
