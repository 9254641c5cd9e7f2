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
// template and labels its answers, all but those that say they are context alone. No answer is cut:
// a row longer than cutoff_len is split between exchanges, a question that leaves its answer no
// space loses its beginning, and an answer that is too long alone is left out and counted.
class TuneRows {
 public:
  // All must outlive it.
  TuneRows(const TuneConfig& config, const Tokenizer& tokenizer, const ChatTemplate& chat_template);

  // Throws kNotFound for a data set or file that is not there, kFailed, naming the row, for one
  // that does not have what the layout says.
  void add_dataset(const std::string& name);
  // messages: role and content, in the roles of chat templates; the last is an answer to learn.
  void add_conversation(nlohmann::ordered_json messages, float weight);

  std::vector<TrainRow> rows;
  int64_t split = 0;                       // conversations made into several rows
  int64_t shortened = 0;                   // questions that lost their beginning
  std::map<std::string, int64_t> systems;  // conversations by system message; "": without one
  std::map<TuneNote, int64_t> left_out;    // conversations and exchanges, by reason

 private:
  TrainRow row_of(const nlohmann::ordered_json& conversation) const;
  // Shortens the last question until the row fits cutoff_len; changes nothing where it cannot.
  void shorten_question(nlohmann::ordered_json& messages, TrainRow& row);

  const TuneConfig& config_;
  const Tokenizer& tokenizer_;
  const ChatTemplate& template_;
};

}  // namespace zhiyin
