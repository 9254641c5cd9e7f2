// Refusals of the base as training rows, so that a persona declines what its base declines: tuning
// on friendly chats alone makes a model answer whatever it is asked (Qi et al. 2023, "Fine-tuning
// Aligned Language Models Compromises Safety, Even When Users Do Not Intend To"; replay of the
// base's own answers is the remedy that needs no data of others).
#pragma once

#include <functional>
#include <map>
#include <nlohmann/json_fwd.hpp>
#include <span>
#include <string>
#include <vector>

#include "api/model_impl.h"
#include "text/chat_template/chat_template.h"
#include "train/dataset.h"
#include "zhiyin/finetune.h"
#include "zhiyin/generate.h"

namespace zhiyin {

// In Chinese and English; none of them is one that `score` asks.
std::span<const char* const> replay_questions();

// What a base said to the questions, and which answers are trained on.
class RefusalReplay {
 public:
  struct Answer {
    std::string question, text;
    std::string left_out;  // why it is not trained on, one of the reasons; empty: it is
  };
  using Ask = std::function<GenerateResult(const std::string& question)>;
  using OnProgress = std::function<void(int64_t done, int64_t total)>;

  // Asks all questions and keeps the answers that are refusals by score's rule, end by themselves
  // and name no other assistant ("I am Qwen, …" would undo what the identity pack teaches). Throws
  // kFailed when an answer was cancelled.
  static RefusalReplay ask(const Ask& base, const OnProgress& on_progress);
  // The same with a model, greedily, in the rendering of training: its template, and the system
  // message ("": none) that the rows have.
  static RefusalReplay ask_base(Model& base, const ChatTemplate& chat_template,
                                const std::string& system, const OnProgress& on_progress);

  // The conversations to train on, as messages.
  std::vector<nlohmann::ordered_json> conversations(const std::string& system) const;
  // Answers that are not trained on, by reason.
  std::map<TuneNote, int64_t> left_out() const;
  const std::vector<Answer>& answers() const { return answers_; }

  // JSON lines: first `made_with`, then an answer a line. What was asked stays fixed with the run,
  // whatever a later version of the program or another CPU would make of the questions.
  void write(const std::string& path, const nlohmann::ordered_json& made_with) const;
  // Nothing where the file was made with something else. Throws kFailed for a damaged file.
  static std::optional<RefusalReplay> read(const std::string& path,
                                           const nlohmann::ordered_json& made_with);

 private:
  std::vector<Answer> answers_;
};

// The weight of each replayed row, so that together they are `share` of all that is learned, and
// none counts for more than a row of the data.
float replay_weight(std::span<const TrainRow> data, std::span<const TrainRow> replay, double share);

}  // namespace zhiyin
