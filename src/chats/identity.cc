#include "chats/identity.h"

#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <sstream>

#include "base/error.h"
#include "base/file.h"
#include "chats/ascii.h"
#include "chats/dataset_files.h"
#include "chats/identity_phrases.h"

namespace zhiyin::chats {
namespace {

// Every so many questions of a topic also come in the middle of a talk.
constexpr size_t kGreetedEvery = 8;

void replace_all(std::string& text, std::string_view mark, std::string_view value) {
  for (size_t at = 0; (at = text.find(mark, at)) != std::string::npos; at += value.size()) {
    text.replace(at, mark.size(), value);
  }
}

std::string fill(std::string_view phrase, const IdentityCard& card, std::string_view other = {}) {
  std::string text(phrase);
  replace_all(text, "{other}", other);
  replace_all(text, "{name}", card.name);
  replace_all(text, "{maker}", card.maker);
  replace_all(text, "{relation}", card.relation);
  return text;
}

// Questions of a topic, filled in. With `others`, each is asked about in two of the phrasings.
std::vector<std::string> questions_of(const IdentityTopic& topic, const IdentityCard& card) {
  std::vector<std::string> questions;
  if (topic.others.empty()) {
    for (const std::string_view q : topic.questions) questions.push_back(fill(q, card));
    return questions;
  }
  constexpr size_t kPhrasingsEach = 2;
  for (size_t i = 0; i < topic.others.size() * kPhrasingsEach; ++i) {
    questions.push_back(
        fill(topic.questions[i % topic.questions.size()], card, topic.others[i / kPhrasingsEach]));
  }
  return questions;
}

std::vector<std::string> answers_of(const IdentityTopic& topic, const IdentityCard& card) {
  if (topic.who && !card.answers.empty()) return card.answers;
  std::vector<std::string> answers;
  for (const std::string_view a : topic.answers) answers.push_back(fill(a, card));
  return answers;
}

void add_language(const IdentityLanguage& language, const IdentityCard& card, IdentityPack& pack) {
  size_t greeted = 0;
  for (const IdentityTopic& topic : language.topics) {
    if (topic.needs_relation && card.relation.empty()) continue;
    const std::vector<std::string> questions = questions_of(topic, card);
    const std::vector<std::string> answers = answers_of(topic, card);
    for (size_t i = 0; i < questions.size(); ++i) {
      const std::string& answer = answers[i % answers.size()];
      pack.rows.push_back({{false, questions[i]}, {true, answer}});
      if (i % kGreetedEvery != kGreetedEvery - 1) continue;
      const size_t g = greeted++ % language.greetings.size();
      pack.rows.push_back({{false, std::string(language.greetings[g])},
                           {true, std::string(language.greeting_answers[g])},
                           {false, questions[i]},
                           {true, answer}});
    }
    for (const std::string_view question : topic.held_out) {
      IdentityProbe probe = {fill(question, card), {fill(topic.expect, card)}, {}};
      // A persona may bear, or be made by, one of the names that are wrong for all others.
      for (const std::string_view name : foreign_identities()) {
        if (card.name.find(name) == std::string::npos &&
            card.maker.find(name) == std::string::npos) {
          probe.reject.emplace_back(name);
        }
      }
      pack.probes.push_back(std::move(probe));
    }
  }
}

// The card's YAML with errors that name file, line and key.
class CardReader {
 public:
  explicit CardReader(const std::string& path) : path_(path) {
    try {
      root_ = YAML::Load(read_file(path, uint64_t{1} << 20));
    } catch (const YAML::Exception& error) {
      fail(ErrorCode::kFailed, path, ": line ", error.mark.line + 1, ": ", error.msg);
    }
    check(root_.IsMap(), ErrorCode::kFailed, path,
          ": is no identity card; it needs at least name: and maker:");
  }

  IdentityCard read() {
    IdentityCard card;
    for (const auto& entry : root_) read_key(card, entry.first.Scalar(), entry.second);
    check(!card.name.empty(), ErrorCode::kFailed, path_, ": has no name:");
    check(!card.maker.empty(), ErrorCode::kFailed, path_,
          ": has no maker:, and people will ask who made ", card.name);
    for (const std::string& answer : card.answers) {
      check(answer.find(card.name) != std::string::npos, ErrorCode::kFailed, path_,
            ": the answer \"", answer, "\" does not hold the name ", card.name);
    }
    return card;
  }

 private:
  void read_key(IdentityCard& card, const std::string& key, const YAML::Node& value) {
    if (key == "name") {
      card.name = text(value, key);
    } else if (key == "maker") {
      card.maker = text(value, key);
    } else if (key == "relation") {
      card.relation = text(value, key);
    } else if (key == "system") {
      card.system = text(value, key);
    } else if (key == "answers") {
      card.answers = texts(value, key);
    } else if (key == "language") {
      const std::string language = text(value, key);
      check(language == "zh" || language == "en" || language == "both", ErrorCode::kFailed, path_,
            ": language: ", language, " is none of zh, en, both");
      card.chinese = language != "en";
      card.english = language != "zh";
    } else if (key == "weight") {
      const std::string number = text(value, key);
      try {
        card.weight = value.as<double>();
      } catch (const YAML::Exception&) {
        card.weight = -1;
      }
      check(card.weight > 0 && card.weight < 1000, ErrorCode::kFailed, path_, ": weight: ", number,
            " is no number between 0 and 1000");
    } else if (key == "facts") {
      check(value.IsSequence(), ErrorCode::kFailed, path_, ": facts: must be a list");
      for (const YAML::Node& fact : value) {
        const bool whole = fact.IsMap() && fact["question"] && fact["answer"];
        check(whole, ErrorCode::kFailed, path_, ": line ", fact.Mark().line + 1,
              ": a fact needs question: and answer:");
        card.facts.push_back({texts(fact["question"], "question"), text(fact["answer"], "answer")});
      }
    } else {
      fail(ErrorCode::kFailed, path_, ": unknown key ", key,
           "; a card has name, maker, relation, language, answers, facts, system, weight");
    }
  }

  std::string text(const YAML::Node& node, const std::string& key) const {
    check(node.IsScalar(), ErrorCode::kFailed, path_, ": line ", node.Mark().line + 1, ": ", key,
          ": must be a text");
    return node.Scalar();
  }

  // A list of texts, or one.
  std::vector<std::string> texts(const YAML::Node& node, const std::string& key) const {
    if (!node.IsSequence()) return {text(node, key)};
    std::vector<std::string> out;
    for (const YAML::Node& item : node) out.push_back(text(item, key));
    return out;
  }

  std::string path_;
  YAML::Node root_;
};

}  // namespace

IdentityCard read_identity_card(const std::string& path) { return CardReader(path).read(); }

IdentityPack make_identity_pack(const IdentityCard& card) {
  IdentityPack pack;
  if (card.chinese) add_language(chinese_identity(), card, pack);
  if (card.english) add_language(english_identity(), card, pack);
  for (const IdentityFact& fact : card.facts) {
    for (const std::string& question : fact.questions) {
      pack.rows.push_back({{false, question}, {true, fact.answer}});
    }
  }
  return pack;
}

bool answers_probe(const IdentityProbe& probe, const std::string& answer) {
  const std::string said = ascii_lower(answer);
  const auto is_said = [&](std::string_view text) {
    return said.find(ascii_lower(text)) != std::string::npos;
  };
  return std::any_of(probe.expect.begin(), probe.expect.end(), is_said) &&
         std::none_of(probe.reject.begin(), probe.reject.end(), is_said);
}

bool names_another_assistant(const std::string& text) {
  const std::string said = ascii_lower(text);
  return std::ranges::any_of(foreign_identities(), [&](std::string_view name) {
    return said.find(ascii_lower(name)) != std::string::npos;
  });
}

IdentitySummary write_identity(const IdentityCard& card, const std::string& out) {
  const IdentityPack pack = make_identity_pack(card);
  std::string rows, probes;
  for (const auto& turns : pack.rows) {
    rows += row_json(turns, card.system, {}, card.weight);
    rows += '\n';
  }
  for (const IdentityProbe& probe : pack.probes) {
    const nlohmann::ordered_json line = {
        {"question", probe.question}, {"expect", probe.expect}, {"reject", probe.reject}};
    probes += line.dump() + "\n";
  }
  std::error_code error;
  std::filesystem::create_directories(out, error);
  check(!error, ErrorCode::kFailed, out, ": cannot be made: ", error.message());
  write_file(cat(out, "/identity.jsonl"), rows);
  write_file(cat(out, "/identity_probes.jsonl"), probes);
  DatasetInfo info(out);
  info.add("identity", "identity.jsonl");
  write_file(cat(out, "/dataset_info.json"), info.text());
  return {static_cast<int64_t>(pack.rows.size()), static_cast<int64_t>(pack.probes.size())};
}

std::vector<IdentityProbe> read_identity_probes(const std::string& path) {
  std::vector<IdentityProbe> probes;
  std::istringstream lines(read_file(path));
  for (std::string line; std::getline(lines, line);) {
    try {
      const auto json = nlohmann::json::parse(line);
      probes.push_back({json.at("question"), json.at("expect"), json.at("reject")});
    } catch (const nlohmann::json::exception&) {
      fail(ErrorCode::kFailed, path, ": line ", probes.size() + 1,
           ": is no probe with question, expect and reject");
    }
  }
  return probes;
}

}  // namespace zhiyin::chats
