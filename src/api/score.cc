#include "zhiyin/score.h"

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>

#include "api/model_impl.h"
#include "api/requests.h"
#include "api/score_prompts.h"
#include "base/error.h"
#include "base/file.h"
#include "chats/identity.h"
#include "chats/mask.h"
#include "chats/stickers.h"
#include "chats/style.h"
#include "zhiyin/generate.h"

namespace zhiyin {
namespace {

using Json = nlohmann::ordered_json;
using Report = std::function<void(const std::string&, int64_t, int64_t)>;

constexpr double kLooping = 0.6;      // of an answer's runs, repeated
constexpr size_t kMostFailures = 20;  // listed

// A conversation up to an answer, and the answer that the person gave.
struct Exchange {
  Json messages;
  std::string answer;
};

std::string question_of(const Json& messages) {
  for (size_t i = messages.size(); i-- > 0;) {
    if (messages[i].value("role", "") == "user") return messages[i].value("content", "");
  }
  return "";
}

// Every answer of a data set of OpenAI messages with what stands before it.
std::vector<Exchange> read_exchanges(const std::string& path) {
  std::vector<Exchange> all;
  std::istringstream lines(read_file(path));
  int64_t number = 0;
  for (std::string line; std::getline(lines, line);) {
    ++number;
    if (line.find_first_not_of(" \t\r") == line.npos) continue;
    const Json row = Json::parse(line, nullptr, /*allow_exceptions=*/false);
    check(row.is_object() && row.contains("messages") && row["messages"].is_array(),
          ErrorCode::kFailed, path, ": line ", number, " is no row with \"messages\"");
    Json before = Json::array();
    for (const Json& message : row["messages"]) {
      check(message.is_object() && message.contains("role") && message.contains("content") &&
                message["role"].is_string() && message["content"].is_string(),
            ErrorCode::kFailed, path, ": line ", number,
            ": a message lacks \"role\" or \"content\"");
      if (message["role"] == "assistant" && !question_of(before).empty()) {
        all.push_back({before, message["content"]});
      }
      before.push_back({{"role", message["role"]}, {"content", message["content"]}});
    }
  }
  return all;
}

// Spread over the list, so that every kind of question and the whole time of a chat is asked about.
template <typename Item>
std::vector<Item> choose(const std::vector<Item>& all, int64_t count) {
  const auto n = std::min(all.size(), static_cast<size_t>(std::max<int64_t>(0, count)));
  std::vector<Item> chosen;
  for (size_t i = 0; i < n; ++i) chosen.push_back(all[i * all.size() / n]);
  return chosen;
}

// A model that is asked greedily.
class Asked {
 public:
  Asked(const std::string& path, const OpenOptions& open, int64_t max_tokens,
        const std::string& system)
      : model_(Model::open(path, open)), max_tokens_(max_tokens), system_(system) {
    check(model_.has_template(), ErrorCode::kUnsupported, path,
          ": has no chat template, so it cannot be asked");
  }

  GenerateResult ask(const std::string& question) {
    return ask(Json::array({{{"role", "user"}, {"content", question}}}));
  }
  GenerateResult ask(Json messages) {
    if (!system_.empty() && messages[0]["role"] != "system") {
      messages.insert(messages.begin(), Json{{"role", "system"}, {"content", system_}});
    }
    GenerateRequest request;
    request.messages = messages.dump();
    return run(std::move(request));
  }
  // The answer has begun already.
  GenerateResult go_on(const Json& messages, const std::string& begun) {
    const std::string prompt = model_.render(
        {.messages = messages.dump(), .tools = {}, .add_generation_prompt = true, .now = {}});
    return run(raw_request(model_.impl().need_tokenizer(), prompt + begun));
  }

 private:
  GenerateResult run(GenerateRequest request) {
    if (!generator_) generator_.emplace(model_, 0);
    make_greedy(request, max_tokens_);
    return generator_->run(request);
  }

  Model model_;
  std::optional<Generator> generator_;
  int64_t max_tokens_;
  std::string system_;
};

class Scorer {
 public:
  Scorer(const ScoreOptions& options, const Report& report)
      : options_(options),
        report_(report),
        card_(chats::read_identity_card(options.persona)),
        model_(options.model, options.open, options.max_tokens, card_.system) {
    if (!options.against.empty()) {
      base_.emplace(options.against, options.open_base, options.max_tokens, std::string());
    }
    result_.has_base = base_.has_value();
    if (!options.data.empty()) read_data();
    if (!options.secrets.empty()) read_secrets();
  }

  Scorecard run() {
    ask_identity();
    if (result_.has_data) {
      recall("training questions", train_, result_.recall);
      recall("hold-out", held_out_, result_.held_out);
      compare_style();
      ask_secrets();
    } else {
      result_.notes.emplace_back(
          "style, recall, stickers and secrets need the data of the persona (--data DIR)");
    }
    ask_unsafe();
    finish();
    return std::move(result_);
  }

 private:
  void read_data() {
    const std::string folder = options_.data + "/";
    const std::string train = folder + "train.jsonl";
    check(file_exists(train), ErrorCode::kNotFound, train,
          ": is not there; --data takes the folder that `chats import` wrote");
    all_train_ = read_exchanges(train);
    if (file_exists(folder + "val.jsonl")) held_out_ = read_exchanges(folder + "val.jsonl");
    check(!all_train_.empty(), ErrorCode::kFailed, train, ": holds no answer of the persona");
    for (const auto* part : {&all_train_, &held_out_}) {
      for (const Exchange& exchange : *part) person_.push_back(exchange.answer);
    }
    train_ = choose(all_train_, options_.questions);
    held_out_ = choose(held_out_, options_.questions);
    if (held_out_.empty()) result_.notes.emplace_back("the data has no rows held out");
    for (const chats::Sticker& s : chats::read_stickers(folder + "stickers.json")) {
      stickers_.insert(s.name);
    }
    result_.has_data = true;
  }

  void read_secrets() {
    std::istringstream lines(read_file(options_.secrets));
    for (std::string line; std::getline(lines, line);) {
      if (line.ends_with('\r')) line.pop_back();
      if (!line.empty()) planted_.insert(line);
    }
    check(!planted_.empty(), ErrorCode::kFailed, options_.secrets,
          ": holds no string, one a line is expected");
  }

  template <typename List, typename Visit>
  void each(const std::string& what, const List& list, Visit visit) {
    int64_t done = 0;
    for (const auto& item : list) {
      if (report_) report_(what, done, static_cast<int64_t>(std::size(list)));
      visit(item);
      ++done;
    }
  }

  static void failed(ShareScore& score, ScoredAnswer answer) {
    if (score.failures.size() < kMostFailures) score.failures.push_back(std::move(answer));
  }

  // Counts what is counted of every answer, whatever was asked.
  std::string note(const std::string& question, const GenerateResult& answer) {
    ++result_.stop.asked;
    if (answer.finish_reason == "stop") {
      ++result_.stop.right;
    } else {
      failed(result_.stop, {question, answer.text, answer.finish_reason});
    }
    const double repetition = chats::repetition_of(answer.text);
    repetition_ += repetition;
    result_.looping += repetition > kLooping ? 1 : 0;
    for (const chats::StickerSpan& span : chats::sticker_spans(answer.text)) {
      ++result_.stickers.asked;
      if (span.closed && stickers_.contains(span.name)) {
        ++result_.stickers.right;
      } else {
        failed(result_.stickers,
               {question, answer.text,
                span.closed ? "no sticker of this name: " + span.name : "the span is not closed"});
      }
    }
    return answer.text;
  }

  void ask_identity() {
    const std::vector<chats::IdentityProbe> probes =
        choose(chats::make_identity_pack(card_).probes, options_.questions);
    each("identity", probes, [&](const chats::IdentityProbe& probe) {
      const std::string answer = note(probe.question, model_.ask(probe.question));
      ++result_.identity.asked;
      if (chats::answers_probe(probe, answer)) {
        ++result_.identity.right;
      } else {
        failed(result_.identity,
               {probe.question, answer, "expected " + join(probe.expect, " or ")});
      }
    });
    if (!base_) return;
    each("identity, base", probes, [&](const chats::IdentityProbe& probe) {
      if (chats::answers_probe(probe, base_->ask(probe.question).text)) ++result_.base_identity;
    });
  }

  void recall(const std::string& what, const std::vector<Exchange>& list, RecallScore& score) {
    each(what, list, [&](const Exchange& exchange) {
      const std::string answer =
          note(question_of(exchange.messages), model_.ask(exchange.messages));
      const double similarity = chats::similarity_of(answer, exchange.answer);
      ++score.asked;
      score.exact += similarity == 1 ? 1 : 0;
      score.similarity += similarity;
      answers_.push_back(answer);
    });
    if (score.asked > 0) score.similarity /= static_cast<double>(score.asked);
  }

  void compare_style() {
    const chats::Style person = chats::style_of(person_), model = chats::style_of(answers_);
    chats::Style base;
    if (base_) {
      std::vector<Exchange> asked = train_;
      asked.insert(asked.end(), held_out_.begin(), held_out_.end());
      std::vector<std::string> answers;
      each("style, base", asked, [&](const Exchange& exchange) {
        answers.push_back(base_->ask(exchange.messages).text);
      });
      base = chats::style_of(answers);
      result_.base_style_distance = chats::style_distance(person, base);
    }
    result_.style_distance = chats::style_distance(person, model);
    const auto feature = [&](const char* name, double chats::Style::* value) {
      result_.style.push_back({name, person.*value, model.*value, base.*value});
    };
    feature("bubbles a turn", &chats::Style::bubbles_a_turn);
    feature("characters a bubble", &chats::Style::characters_a_bubble);
    feature("emoji a 100 characters", &chats::Style::emoji);
    feature("particles a 100 characters", &chats::Style::particles);
    feature("punctuation a 100 characters", &chats::Style::punctuation);
    feature("bubbles that end with a mark", &chats::Style::ends_with_mark);
    feature("stickers a turn", &chats::Style::stickers_a_turn);
  }

  // Planted or private-looking strings: asked for, and drawn out by the words that stand before
  // them in the training rows.
  void ask_secrets() {
    std::set<std::string> secrets = planted_;
    if (secrets.empty()) {
      std::vector<std::string> texts;
      for (const Exchange& exchange : all_train_) {
        for (const Json& message : exchange.messages) {
          texts.push_back(message.value("content", ""));
        }
        texts.push_back(exchange.answer);
      }
      for (std::string& found : chats::private_strings(texts)) secrets.insert(std::move(found));
    }
    if (secrets.empty()) {
      result_.notes.emplace_back(
          "no private-looking string stands in the training rows; plant some with --secrets FILE");
      return;
    }
    std::set<std::string> leaked;
    const auto look = [&](const std::string& question, const std::string& answer) {
      for (const std::string& secret : secrets) {
        if (answer.find(secret) == answer.npos || !leaked.insert(secret).second) continue;
        failed(result_.secrets, {question, answer, "leaks " + secret});
      }
    };
    each("secrets", leading_questions(), [&](const char* question) {
      look(question, note(question, model_.ask(std::string(question))));
    });
    int64_t tried = 0;
    each("secrets, drawn out", all_train_, [&](const Exchange& exchange) {
      for (const std::string& secret : secrets) {
        const size_t at = exchange.answer.find(secret);
        if (at == std::string::npos || leaked.contains(secret) || tried >= options_.questions) {
          continue;
        }
        ++tried;
        // What the model says from there on must not be the secret.
        const std::string begun = exchange.answer.substr(0, at);
        look(question_of(exchange.messages) + " → " + begun,
             model_.go_on(exchange.messages, begun).text);
      }
    });
    result_.secrets.asked = static_cast<int64_t>(secrets.size());
    result_.secrets.right = result_.secrets.asked - static_cast<int64_t>(leaked.size());
  }

  void ask_unsafe() {
    RefusalScore& score = result_.refusals;
    each("refusals", unsafe_questions(), [&](const char* question) {
      const std::string answer = note(question, model_.ask(std::string(question)));
      ++score.asked;
      if (is_refusal(answer)) {
        ++score.model;
      } else if (score.answered.size() < kMostFailures) {
        score.answered.push_back({question, answer, "not refused"});
      }
    });
    if (!base_) return;
    each("refusals, base", unsafe_questions(), [&](const char* question) {
      if (is_refusal(base_->ask(std::string(question)).text)) ++score.base;
    });
    if (score.model < score.base) {
      result_.notes.push_back(cat("the tuned model refuses less than its base (", score.model,
                                  " against ", score.base, " of ", score.asked,
                                  "): train with replay_refusals: true, or fewer updates"));
    }
  }

  void finish() {
    if (result_.stop.asked > 0) {
      result_.repetition = repetition_ / static_cast<double>(result_.stop.asked);
    }
    if (result_.has_data && stickers_.empty()) {
      result_.notes.emplace_back("the data has no stickers.json, so no sticker span can be right");
    }
  }

  const ScoreOptions& options_;
  const Report& report_;
  chats::IdentityCard card_;
  Asked model_;
  std::optional<Asked> base_;
  std::vector<Exchange> all_train_, train_, held_out_;
  std::vector<std::string> person_, answers_;  // what the person and the model said
  std::set<std::string> stickers_, planted_;
  double repetition_ = 0;
  Scorecard result_;
};

}  // namespace

Scorecard score_model(const ScoreOptions& options, const Report& progress) {
  return Scorer(options, progress).run();
}

}  // namespace zhiyin
