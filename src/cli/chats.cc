#include "zhiyin/chats.h"

#include <algorithm>
#include <iomanip>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>

#include "base/progress.h"
#include "base/utf8.h"
#include "cli/verb.h"

namespace zhiyin::cli {
namespace {

struct Options {
  ChatImportOptions import;
  std::vector<std::string> people_paths;
  std::string card, identity_out, folder;
  int64_t from = 1, count = 10, row = 0;
  bool json = false;
};

// A bar that lives as long as the callback does.
ChatProgress show_progress() {
  auto bar = std::make_shared<Progress>(tr("import", "导入"), 0);
  return [bar](const std::string& stage, int64_t done, int64_t total) {
    bar->set_total(total);
    bar->update(done, stage);
  };
}

void run_import(Options& o) {
  o.import.progress = show_progress();
  const ChatImportResult result = import_chats(o.import);
  o.import.progress = nullptr;  // clears the bar
  if (o.json) {
    std::cout << result.json << '\n';
    return;
  }
  std::cout << result.text << '\n'
            << tr(result.consent_note.c_str(),
                  "学习真人的说话方式需要本人同意，并且必须标明这是 AI 模仿。")
            << '\n';
}

void run_people(const Options& o) {
  nlohmann::ordered_json json = nlohmann::ordered_json::array();
  for (const ChatPerson& p : chat_people(o.people_paths, show_progress())) {
    if (o.json) {
      json.push_back({{"id", p.id}, {"name", p.name}, {"messages", p.messages}});
    } else {
      std::cout << std::setw(8) << p.messages << "  " << p.name << "  (" << p.id << ")\n";
    }
  }
  if (o.json) std::cout << json << '\n';
}

std::string one_line(std::string text) {
  constexpr size_t kBytesShown = 200;
  std::replace(text.begin(), text.end(), '\n', ' ');
  return printable(text, kBytesShown);
}

void print_row(const ChatRow& row) {
  std::cout << tr("row ", "第 ") << row.id << tr("", " 行") << "  " << row.place << "  "
            << row.begin_time << " – " << row.end_time << '\n';
  if (!row.system.empty()) std::cout << tr("  system     ", "  系统　") << row.system << '\n';
  for (const ChatRow::Turn& turn : row.turns) {
    const std::string who =
        turn.assistant ? tr("  assistant  ", "  助手　") : tr("  user       ", "  用户　");
    std::string text = turn.text;
    const std::string indent(display_width(who), ' ');
    for (size_t at = 0; (at = text.find('\n', at)) != std::string::npos; at += 1 + indent.size()) {
      text.insert(at + 1, indent);
    }
    std::cout << who << text << '\n';
  }
}

nlohmann::ordered_json row_json(const ChatRow& row) {
  nlohmann::ordered_json messages = nlohmann::ordered_json::array();
  if (!row.system.empty()) messages.push_back({{"role", "system"}, {"content", row.system}});
  for (const ChatRow::Turn& turn : row.turns) {
    messages.push_back({{"role", turn.assistant ? "assistant" : "user"}, {"content", turn.text}});
  }
  return {{"row", row.id},
          {"place", row.place},
          {"begin_time", row.begin_time},
          {"end_time", row.end_time},
          {"messages", std::move(messages)}};
}

void run_show(const Options& o) {
  const ChatRows found = chat_rows(o.folder, o.from, o.count);
  if (o.json) {
    nlohmann::ordered_json rows = nlohmann::ordered_json::array();
    for (const ChatRow& row : found.rows) rows.push_back(row_json(row));
    std::cout << nlohmann::ordered_json{{"total", found.total}, {"rows", std::move(rows)}} << '\n';
    return;
  }
  for (const ChatRow& row : found.rows) {
    print_row(row);
    std::cout << '\n';
  }
  const int64_t next = found.rows.empty() ? found.total + 1 : found.rows.back().id + 1;
  if (next <= found.total) {
    std::cout << tr("next: zhiyin chats show ", "下一页：zhiyin chats show ") << o.folder
              << " --from " << next << "  (" << found.total << tr(" rows)", " 行）") << '\n';
  } else {
    std::cout << found.total << tr(" rows, this is the end\n", " 行，已到末尾\n");
  }
}

void run_explain(const Options& o) {
  const ChatExplanation found = explain_chat_row(o.folder, o.row);
  if (o.json) {
    nlohmann::ordered_json json = row_json(found.row);
    json["sources"] = nlohmann::ordered_json::array();
    for (const ExplainedMessage& m : found.messages) {
      nlohmann::ordered_json source = {{"id", m.id},         {"place", m.place}, {"time", m.time},
                                       {"sender", m.sender}, {"kind", m.kind},   {"text", m.text}};
      if (!m.quote.empty()) source["quote"] = m.quote;
      if (m.row > 0) source["row"] = m.row;
      if (m.row == 0) source["dropped"] = m.reason;
      json["sources"].push_back(std::move(source));
    }
    std::cout << json << '\n';
    return;
  }
  print_row(found.row);
  std::cout << tr("\nmade of these messages (+), with what was left out (-) and why:\n",
                  "\n来自这些消息（+），以及被略去的（-）和原因：\n");
  for (const ExplainedMessage& m : found.messages) {
    std::cout << (m.row == found.row.id ? "  + "
                  : m.row > 0           ? "    "
                                        : "  - ")
              << m.time << "  " << (m.sender.empty() ? "–" : m.sender) << ": "
              << (m.text.empty() ? "[" + m.kind + "]" : one_line(m.text));
    if (m.row > 0 && m.row != found.row.id)
      std::cout << tr("  → row ", "  → 第 ") << m.row << tr("", " 行");
    if (m.row == 0) std::cout << tr("  → dropped: ", "  → 略去：") << m.reason;
    std::cout << "  (" << m.place << ")\n";
  }
}

void run_identity(const Options& o) {
  const IdentityResult result = make_identity(o.card, o.identity_out);
  if (o.json) {
    std::cout << nlohmann::ordered_json{{"rows", result.rows}, {"probes", result.probes}} << '\n';
  } else {
    std::cout << result.rows << tr(" identity rows, ", " 条身份数据，") << result.probes
              << tr(" questions kept back for the check\n", " 个问题留作检验\n");
  }
}

}  // namespace

void add_chats(CLI::App& program) {
  auto o = std::make_shared<Options>();
  CLI::App* chats =
      add_verb(program, "chats", tr("Chat exports into training rows", "聊天记录转训练数据"),
               "zhiyin chats import WeChat/ --out data");
  chats->require_subcommand(1);

  CLI::App* import =
      add_verb(*chats, "import", tr("Read exports, write a data set", "读取导出，写出数据集"),
               "zhiyin chats import wxid_a_0_5000.csv --out data --persona me");
  import->add_option("PATH", o->import.paths, tr("Files or folders", "文件或文件夹"))->required();
  import->add_option("--out", o->import.out, tr("Folder of the data set", "数据集文件夹"))
      ->required();
  import->add_option(
      "--persona", o->import.persona,
      tr("Whose voice is learned: a name, an id, me", "学习谁的说话方式：名字、编号或 me"));
  import
      ->add_option("--style", o->import.style,
                   tr("turns: whole conversations; pairs: single answers",
                      "turns：整段对话；pairs：一问一答"))
      ->check(CLI::IsMember({"turns", "pairs"}));
  import->add_option("--system", o->import.system,
                     tr("System message of every row", "每行的系统消息"));
  import->add_option(
      "--session-gap", o->import.session_gap,
      tr("Seconds of silence that end a session; 0: learned", "会话间隔秒数；0：自动"));
  import
      ->add_option("--val", o->import.val_share,
                   tr("Share of the answers to hold out, the newest (default 5 % from 400 on)",
                      "留作验证的最新回答比例（默认 400 条起 5%）"))
      ->check(CLI::Range(0.0, 0.9));
  import->add_flag("--mask", o->import.mask,
                   tr("Pseudonyms for phone numbers, ids, mails, cards and addresses",
                      "电话、证件号、邮箱、卡号和地址换成化名"));
  import->add_option("--mask-name", o->import.mask_names,
                     tr("Mask this name too: NAME or NAME=STAND-IN; may be repeated",
                        "也隐去这个名字：名字，或 名字=化名；可重复"));
  import->add_option("--mask-map", o->import.mask_map,
                     tr("File for what stands for what (default OUT.mask.json)",
                        "化名对照表（默认 OUT.mask.json）"));
  import->add_flag("--json", o->json, tr("Print JSON", "输出 JSON"));
  import->callback([o] { run_import(*o); });

  CLI::App* people = add_verb(*chats, "people", tr("Who speaks in an export", "导出里有谁"),
                              "zhiyin chats people group.csv");
  people->add_option("PATH", o->people_paths, tr("Files or folders", "文件或文件夹"))->required();
  people->add_flag("--json", o->json, tr("Print JSON", "输出 JSON"));
  people->callback([o] { run_people(*o); });

  CLI::App* show =
      add_verb(*chats, "show", tr("The rows of an import, to be read", "查看导入的数据行"),
               "zhiyin chats show data --from 11");
  show->add_option("DIR", o->folder, tr("Folder of the data set", "数据集文件夹"))->required();
  show->add_option("--from", o->from, tr("First row", "从第几行起"))->check(CLI::PositiveNumber);
  show->add_option("--count", o->count, tr("Rows a page", "每页行数"))->check(CLI::PositiveNumber);
  show->add_flag("--json", o->json, tr("Print JSON", "输出 JSON"));
  show->callback([o] { run_show(*o); });

  CLI::App* explain =
      add_verb(*chats, "explain",
               tr("What went into a row, what was dropped around it and why", "一行数据的来龙去脉"),
               "zhiyin chats explain data 12");
  explain->add_option("DIR", o->folder, tr("Folder of the data set", "数据集文件夹"))->required();
  explain->add_option("ROW", o->row, tr("Number of the row, as show prints it", "行号"))
      ->required();
  explain->add_flag("--json", o->json, tr("Print JSON", "输出 JSON"));
  explain->callback([o] { run_explain(*o); });

  CLI::App* identity = add_verb(*chats, "identity",
                                tr("Rows that teach a persona who it is", "教模型“我是谁”的数据"),
                                "zhiyin chats identity persona.yaml --out data");
  identity
      ->add_option("CARD", o->card, tr("The card: name, maker, facts", "身份卡：名字、作者、事实"))
      ->required();
  identity->add_option("--out", o->identity_out, tr("Folder of the data set", "数据集文件夹"))
      ->required();
  identity->add_flag("--json", o->json, tr("Print JSON", "输出 JSON"));
  identity->callback([o] { run_identity(*o); });
}

}  // namespace zhiyin::cli
