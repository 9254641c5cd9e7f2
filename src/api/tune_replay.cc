#include "api/tune_replay.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <sstream>

#include "api/requests.h"
#include "api/score_prompts.h"
#include "base/error.h"
#include "base/file.h"
#include "chats/identity.h"
#include "text/chat_template/chat_rendering.h"

namespace zhiyin {
namespace {

using Json = nlohmann::ordered_json;

constexpr const char* kQuestions[] = {
#define ZHIYIN_REPLAY_QUESTION(text) text,
#include "api/replay_questions.def"
#undef ZHIYIN_REPLAY_QUESTION
};

// A refusal shows at once, and what does not saves the time of being written out.
constexpr int64_t kFirstTokens = 40;
// It is short, too; what goes on for longer is a lecture.
constexpr int64_t kMostAnswerTokens = 160;
constexpr int64_t kContextTokens = 1024;

struct Reason {
  const char *english, *chinese;
};
constexpr Reason kAnswered = {"answered by the base", "原模型作了回答"};
constexpr Reason kEndless = {"refused without an end", "拒答没有结束"};
constexpr Reason kOtherName = {"refused under the name of the base", "以原模型的名义拒答"};

std::string why_left_out(const GenerateResult& answer) {
  if (!is_refusal(answer.text)) return kAnswered.english;
  if (answer.finish_reason != "stop") return kEndless.english;
  if (chats::names_another_assistant(answer.text)) return kOtherName.english;
  return {};
}

Json messages_of(const std::string& system, const std::string& question) {
  Json messages = Json::array();
  if (!system.empty()) messages.push_back({{"role", "system"}, {"content", system}});
  messages.push_back({{"role", "user"}, {"content", question}});
  return messages;
}

double learned_weight(std::span<const TrainRow> rows) {
  double sum = 0;
  for (const TrainRow& row : rows) {
    sum += static_cast<double>(row.weight) * static_cast<double>(row.label_count());
  }
  return sum;
}

}  // namespace

std::span<const char* const> replay_questions() { return kQuestions; }

RefusalReplay RefusalReplay::ask(const Ask& base, const OnProgress& on_progress) {
  RefusalReplay replay;
  const auto total = static_cast<int64_t>(std::size(kQuestions));
  for (const char* question : kQuestions) {
    if (on_progress) on_progress(static_cast<int64_t>(replay.answers_.size()), total);
    const GenerateResult answer = base(question);
    check(answer.finish_reason != "cancelled", ErrorCode::kFailed,
          "stopped while the base was asked for its refusals; nothing was written");
    replay.answers_.push_back({question, answer.text, why_left_out(answer)});
  }
  if (on_progress) on_progress(total, total);
  return replay;
}

RefusalReplay RefusalReplay::ask_base(Model& base, const ChatTemplate& chat_template,
                                      const std::string& system, const OnProgress& on_progress) {
  const Tokenizer& tokenizer = base.impl().need_tokenizer();
  TemplateVariables variables = TemplateVariables::object();
  add_special_tokens(variables, tokenizer);
  Generator generator(base, kContextTokens);
  return ask(
      [&](const std::string& question) {
        const std::string prompt =
            render_chat(chat_template, parse_conversation(messages_of(system, question)), variables,
                        /*add_generation_prompt=*/true);
        GenerateRequest request = raw_request(tokenizer, prompt);
        make_greedy(request, kFirstTokens);
        GenerateResult answer = generator.run(request);
        if (answer.finish_reason == "length" && is_refusal(answer.text)) {
          request.max_tokens = kMostAnswerTokens;
          answer = generator.run(request);
        }
        return answer;
      },
      on_progress);
}

std::vector<Json> RefusalReplay::conversations(const std::string& system) const {
  std::vector<Json> all;
  for (const Answer& answer : answers_) {
    if (!answer.left_out.empty()) continue;
    all.push_back(messages_of(system, answer.question));
    all.back().push_back({{"role", "assistant"}, {"content", answer.text}});
  }
  return all;
}

std::map<TuneNote, int64_t> RefusalReplay::left_out() const {
  std::map<TuneNote, int64_t> reasons;
  for (const Reason& reason : {kAnswered, kEndless, kOtherName}) {
    const auto count = std::ranges::count(answers_, reason.english, &Answer::left_out);
    if (count > 0) reasons[{reason.english, reason.chinese}] = count;
  }
  return reasons;
}

void RefusalReplay::write(const std::string& path, const Json& made_with) const {
  std::string lines = Json{{"made_with", made_with}}.dump() + "\n";
  for (const Answer& a : answers_) {
    const Json line = {{"question", a.question}, {"answer", a.text}, {"left_out", a.left_out}};
    lines += line.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
  }
  write_file(path, lines);
}

std::optional<RefusalReplay> RefusalReplay::read(const std::string& path, const Json& made_with) {
  RefusalReplay replay;
  std::istringstream lines(read_file(path));
  int64_t number = 0;
  for (std::string line; std::getline(lines, line);) {
    const Json json = Json::parse(line, nullptr, /*allow_exceptions=*/false);
    const auto is_text = [&](const char* key) {
      return json.is_object() && json.contains(key) && json[key].is_string();
    };
    if (++number == 1) {
      check(json.is_object() && json.contains("made_with"), ErrorCode::kFailed, path,
            ": line 1 has no \"made_with\"; remove the file, and the base is asked again");
      if (json["made_with"] != made_with) return std::nullopt;
      continue;
    }
    check(is_text("question") && is_text("answer") && is_text("left_out"), ErrorCode::kFailed, path,
          ": line ", number,
          " has no question, answer and left_out; remove the file, and the base is asked again");
    replay.answers_.push_back({json["question"], json["answer"], json["left_out"]});
  }
  return replay;
}

float replay_weight(std::span<const TrainRow> data, std::span<const TrainRow> replay,
                    double share) {
  const double wanted = learned_weight(data) * share / (1 - share);
  return static_cast<float>(std::min(1.0, wanted / learned_weight(replay)));
}

}  // namespace zhiyin
