#include "zhiyin/doctor.h"

#include <iostream>
#include <nlohmann/json.hpp>

#include "cli/verb.h"

namespace zhiyin::cli {
namespace {

using Json = nlohmann::ordered_json;

struct Options {
  std::string model, against;
  bool json = false;
  OpenOptions open;
};

const char* level_name(Finding::Level level) {
  switch (level) {
    case Finding::Level::kInfo:
      return "note";
    case Finding::Level::kWarning:
      return "warning";
    case Finding::Level::kError:
      return "error";
  }
  return "";
}

std::string escaped(const std::string& text) {
  const std::string quoted = Json(text).dump(-1, ' ', false, Json::error_handler_t::replace);
  return quoted.substr(1, quoted.size() - 2);
}

void print(const DoctorReport& r) {
  if (!r.prompt.empty()) {
    std::cout << tr("prompt of a sample conversation\n", "示例对话渲染出的提示\n") << r.prompt
              << "\n\n";
    std::cout << tr("its tokens\n", "其词元\n");
    for (size_t i = 0; i < r.ids.size(); ++i) {
      std::cout << (i > 0 ? " " : "") << r.ids[i] << ":" << escaped(r.pieces[i]);
    }
    std::cout << "\n\n";
  }
  std::cout << tr("stops at\n", "停止于\n");
  for (const StopEntry& s : r.stop) {
    std::cout << "  " << s.id << " " << escaped(s.text) << "  (" << s.origin << ")\n";
  }
  std::cout << '\n';
  for (const Finding& f : r.findings) std::cout << level_name(f.level) << ": " << f.text << '\n';
}

Json to_json(const DoctorReport& r) {
  Json stop = Json::array(), findings = Json::array();
  for (const StopEntry& s : r.stop) {
    stop.push_back({{"id", s.id}, {"text", s.text}, {"origin", s.origin}});
  }
  for (const Finding& f : r.findings) {
    findings.push_back({{"level", level_name(f.level)}, {"text", f.text}});
  }
  return {{"prompt", r.prompt},
          {"ids", r.ids},
          {"pieces", r.pieces},
          {"stop", stop},
          {"findings", findings}};
}

void run(const Options& o) {
  OpenOptions open = o.open;
  open.prepare = false;
  Model model = Model::open(o.model, open);
  std::optional<Model> against;
  if (!o.against.empty()) against.emplace(Model::open(o.against, open));
  const DoctorReport report = doctor(model, against ? &*against : nullptr);
  if (o.json) {
    std::cout << to_json(report).dump(-1, ' ', false, Json::error_handler_t::replace) << '\n';
  } else {
    print(report);
  }
  for (const Finding& f : report.findings) {
    if (f.level == Finding::Level::kError) throw ExitCode{1};
  }
}

}  // namespace

void add_doctor(CLI::App& program) {
  auto o = std::make_shared<Options>();
  CLI::App* verb = add_verb(program, "doctor",
                            tr("What is wrong with a model, and why it would not stop",
                               "检查模型：模板、停止词元、缺失或可疑之处"),
                            "zhiyin doctor persona.gguf --against qwen2.5-coder-0.5b");
  add_model_flags(*verb, o->model, o->open);
  verb->add_option("--against", o->against, tr("The base it was made from", "它的基础模型"));
  verb->add_flag("--json", o->json, tr("Print JSON", "输出 JSON"));
  verb->callback([o] { run(*o); });
}

}  // namespace zhiyin::cli
