#include "zhiyin/score.h"

#include <iomanip>
#include <iostream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "base/utf8.h"
#include "cli/stages.h"
#include "cli/verb.h"

namespace zhiyin::cli {
namespace {

using Json = nlohmann::ordered_json;

struct Options {
  ScoreOptions score;
  bool json = false, failures = false;
};

Json to_json(const std::vector<ScoredAnswer>& answers) {
  Json list = Json::array();
  for (const ScoredAnswer& a : answers) {
    list.push_back({{"question", a.question}, {"answer", a.answer}, {"why", a.why}});
  }
  return list;
}

Json to_json(const ShareScore& s) {
  return {{"asked", s.asked}, {"right", s.right}, {"failures", to_json(s.failures)}};
}

Json to_json(const RecallScore& s) {
  return {{"asked", s.asked}, {"exact", s.exact}, {"similarity", s.similarity}};
}

Json to_json(const Scorecard& c) {
  Json style = Json::array();
  for (const StyleFeature& f : c.style) {
    Json feature = {{"name", f.name}, {"person", f.person}, {"model", f.model}};
    if (c.has_base) feature["base"] = f.base;
    style.push_back(feature);
  }
  Json json = {{"identity", to_json(c.identity)},
               {"stop", to_json(c.stop)},
               {"stickers", to_json(c.stickers)},
               {"style", {{"distance", c.style_distance}, {"features", style}}},
               {"repetition", {{"mean", c.repetition}, {"looping", c.looping}}},
               {"recall", {{"training", to_json(c.recall)}, {"held_out", to_json(c.held_out)}}},
               {"secrets", to_json(c.secrets)},
               {"refusals",
                {{"asked", c.refusals.asked},
                 {"refused", c.refusals.model},
                 {"answered", to_json(c.refusals.answered)}}},
               {"notes", c.notes}};
  if (c.has_base) {
    json["identity"]["base_right"] = c.base_identity;
    json["style"]["base_distance"] = c.base_style_distance;
    json["refusals"]["base_refused"] = c.refusals.base;
  }
  return json;
}

std::string number(double value, int digits = 2) {
  std::ostringstream text;
  text << std::fixed << std::setprecision(digits) << value;
  return text.str();
}

std::string of(int64_t part, int64_t whole) {
  return std::to_string(part) + tr(" of ", " / ") + std::to_string(whole);
}

void line(const std::string& name, const std::string& value) {
  std::cout << "  " << name << std::string(name.size() < 22 ? 22 - name.size() : 1, ' ') << value
            << '\n';
}

void print_style(const Scorecard& c) {
  std::cout << '\n'
            << std::left << std::setw(32) << "  style" << std::right << std::setw(10) << "person"
            << std::setw(10) << "model";
  if (c.has_base) std::cout << std::setw(10) << "base";
  std::cout << '\n';
  for (const StyleFeature& f : c.style) {
    std::cout << std::left << std::setw(32) << "  " + f.name << std::right << std::setw(10)
              << number(f.person) << std::setw(10) << number(f.model);
    if (c.has_base) std::cout << std::setw(10) << number(f.base);
    std::cout << '\n';
  }
  std::cout << std::left << std::setw(32) << "  distance (0: alike)" << std::right << std::setw(20)
            << number(c.style_distance);
  if (c.has_base) std::cout << std::setw(10) << number(c.base_style_distance);
  std::cout << "\n\n";
}

// One line of at most so many bytes, its line breaks as " / ".
std::string on_one_line(const std::string& text) {
  constexpr size_t kMost = 240;
  std::string line;
  for (const char c : text) line += c == '\n' ? std::string(" / ") : std::string(1, c);
  return printable(line, kMost) + (line.size() > kMost ? " …" : "");
}

void print_answers(const char* what, const std::vector<ScoredAnswer>& answers) {
  if (answers.empty()) return;
  std::cout << '\n' << what << '\n';
  for (const ScoredAnswer& a : answers) {
    std::cout << "  ? " << on_one_line(a.question) << "\n  > " << on_one_line(a.answer) << "  ("
              << a.why << ")\n";
  }
}

void print(const Scorecard& c, bool failures) {
  line("identity", of(c.identity.right, c.identity.asked) +
                       (c.has_base ? "   (base " + std::to_string(c.base_identity) + ")" : ""));
  line("stops by itself", of(c.stop.right, c.stop.asked));
  if (c.has_data) {
    line("stickers exact", c.stickers.asked > 0 ? of(c.stickers.right, c.stickers.asked)
                                                : tr("none written", "没有写出表情"));
    for (const auto& [name, score] :
         {std::pair{"training questions", &c.recall}, {"hold-out", &c.held_out}}) {
      if (score->asked == 0) continue;
      line(name, "similarity " + number(score->similarity) + ", word for word " +
                     of(score->exact, score->asked));
    }
    if (c.secrets.asked > 0) {
      line("secrets leaked", of(c.secrets.asked - c.secrets.right, c.secrets.asked));
    }
  }
  line("repetition", number(c.repetition) + ", " + std::to_string(c.looping) + " answers loop");
  line("refuses", of(c.refusals.model, c.refusals.asked) +
                      (c.has_base ? "   (base " + std::to_string(c.refusals.base) + ")" : ""));
  if (c.has_data) print_style(c);
  for (const std::string& note : c.notes) std::cout << note << '\n';
  if (!failures) return;
  print_answers("Identity, wrong", c.identity.failures);
  print_answers("Did not stop", c.stop.failures);
  print_answers("Stickers, wrong", c.stickers.failures);
  print_answers("Secrets, leaked", c.secrets.failures);
  print_answers("Answered, not refused", c.refusals.answered);
}

}  // namespace

void add_score(CLI::App& program) {
  auto o = std::make_shared<Options>();
  CLI::App* verb = add_verb(program, "score", tr("A scorecard of a persona", "给人设模型打分"),
                            "zhiyin score persona.gguf --persona card.yaml --data work/data "
                            "--against qwen2.5-coder-0.5b");
  add_model_flags(*verb, o->score.model, o->score.open);
  verb->add_option("--persona", o->score.persona, tr("The identity card (YAML)", "身份卡（YAML）"))
      ->required();
  verb->add_option("--data", o->score.data,
                   tr("Folder that `chats import` wrote: style, recall, stickers, secrets",
                      "`chats import` 的输出文件夹：风格、记忆、表情、隐私"));
  verb->add_option("--against", o->score.against,
                   tr("The base model, for comparison", "用来比较的基础模型"));
  verb->add_option("--secrets", o->score.secrets,
                   tr("Planted strings, one a line, that must not come out",
                      "埋入的秘密字符串，每行一个，不应泄露"));
  verb->add_option("--questions", o->score.questions,
                   tr("Questions of each part, at most", "每部分最多问几个问题"))
      ->check(CLI::Range(1, 10000))
      ->capture_default_str();
  verb->add_option("--max-tokens", o->score.max_tokens,
                   tr("An answer longer than this does not count as ended", "超过此长度算没停"))
      ->check(CLI::Range(1, 100000))
      ->capture_default_str();
  verb->add_flag("--failures", o->failures, tr("List the wrong answers", "列出答错的问题"));
  verb->add_flag("--json", o->json, tr("Print JSON", "输出 JSON"));
  verb->callback([o] {
    o->score.open_base = o->score.open;
    o->score.open_base.adapters.clear();
    Stages stages;
    const Scorecard card = score_model(o->score, stages.callback());
    if (o->json) {
      std::cout << to_json(card) << '\n';
    } else {
      print(card, o->failures);
    }
  });
}

}  // namespace zhiyin::cli
