// How closely an exported model answers as the tuned one does: logits compared at every position at
// which an answer is written, on rows of the training data.
#pragma once

#include <functional>
#include <span>
#include <string>
#include <vector>

#include "text/chat_template/chat_template.h"
#include "text/tokenizer.h"
#include "train/dataset.h"
#include "zhiyin/export.h"

namespace zhiyin {

// Rows to compare on, at most `count`, spread over the data that `run` was trained on. Empty, with
// the reason in `why`, where that data is not to be had any more.
std::vector<TrainRow> rows_of_run(const std::string& run, const Tokenizer& tokenizer,
                                  const ChatTemplate& chat_template, size_t count,
                                  std::string& why);

// Both models must have the vocabulary of the rows. Rows are cut after a few hundred tokens.
ParityReport compare_models(Model& tuned, Model& exported, std::span<const TrainRow> rows,
                            const std::function<void(int64_t, int64_t)>& on_progress);

// The question that a row asks first: its ids up to the first answer.
std::vector<int32_t> prompt_of(const TrainRow& row);

}  // namespace zhiyin
