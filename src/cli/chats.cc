#include "zhiyin/chats.h"

#include <iomanip>
#include <iostream>
#include <nlohmann/json.hpp>

#include "base/progress.h"
#include "cli/verb.h"

namespace zhiyin::cli {
namespace {

struct Options {
  ChatImportOptions import;
  std::vector<std::string> people_paths;
  std::string card, identity_out;
  bool json = false;
};

void run_import(Options& o) {
  Progress progress(tr("import", "导入"), 0);
  o.import.progress = [&](const std::string& stage, int64_t done, int64_t total) {
    progress.set_total(total);
    progress.update(done, stage);
  };
  const ChatImportResult result = import_chats(o.import);
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
  for (const ChatPerson& p : chat_people(o.people_paths)) {
    if (o.json) {
      json.push_back({{"id", p.id}, {"name", p.name}, {"messages", p.messages}});
    } else {
      std::cout << std::setw(8) << p.messages << "  " << p.name << "  (" << p.id << ")\n";
    }
  }
  if (o.json) std::cout << json << '\n';
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
  import->add_flag("--json", o->json, tr("Print JSON", "输出 JSON"));
  import->callback([o] { run_import(*o); });

  CLI::App* people = add_verb(*chats, "people", tr("Who speaks in an export", "导出里有谁"),
                              "zhiyin chats people group.csv");
  people->add_option("PATH", o->people_paths, tr("Files or folders", "文件或文件夹"))->required();
  people->add_flag("--json", o->json, tr("Print JSON", "输出 JSON"));
  people->callback([o] { run_people(*o); });

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
