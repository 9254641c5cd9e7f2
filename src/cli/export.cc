#include "zhiyin/export.h"

#include <iostream>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/progress.h"
#include "cli/verb.h"

namespace zhiyin::cli {
namespace {

using Json = nlohmann::ordered_json;

struct Options {
  ExportOptions job;
  std::string in, out, type;
  bool json = false, no_probe = false;
};

// One bar after the other, as the stages come.
class Stages {
 public:
  ExportProgress callback() {
    return [this](const std::string& what, int64_t done, int64_t total) {
      if (what != what_) {
        bar_.reset();
        bar_ = std::make_unique<Progress>(what, total);
        what_ = what;
      }
      bar_->update(done);
    };
  }

 private:
  std::string what_;
  std::unique_ptr<Progress> bar_;
};

Json to_json(const ExportedFile& f) {
  return {{"path", f.path},
          {"type", f.type},
          {"bytes", f.bytes},
          {"tensors_packed", f.tensors_packed},
          {"tensors_copied", f.tensors_copied},
          {"probes", f.probes},
          {"stopped", f.stopped}};
}

void print(const ExportedFile& f) {
  std::cout << f.path << "  " << bytes_text(f.bytes) << ", " << f.tensors_packed
            << tr(" tensors packed, ", " 个张量已打包，") << f.tensors_copied
            << tr(" taken over as they are", " 个原样保留");
  if (f.probes > 0) {
    std::cout << tr("; stops by itself in ", "；自行停止 ") << f.stopped << tr(" of ", " / ")
              << f.probes;
  }
  std::cout << '\n';
}

void run_export(Options& o) {
  o.job.probe = !o.no_probe;
  Stages stages;
  const ExportResult result = export_run(o.job, stages.callback());
  if (o.json) {
    Json files = Json::array();
    for (const ExportedFile& f : result.files) files.push_back(to_json(f));
    std::cout << Json{{"files", files},
                      {"modelfile", result.modelfile},
                      {"template_origin", result.template_origin}}
              << '\n';
    return;
  }
  for (const ExportedFile& f : result.files) print(f);
  std::cout << result.modelfile << '\n'
            << tr("chat template: ", "聊天模板：") << result.template_origin
            << tr("; the files give the same tokens as training saw\n", "；与训练时的词元一致\n");
}

void run_quantize(const Options& o) {
  Stages stages;
  const ExportedFile file = quantize(o.in, o.out, o.type, o.job.open, stages.callback());
  if (o.json) {
    std::cout << to_json(file) << '\n';
  } else {
    print(file);
  }
}

std::shared_ptr<Options> make_options() {
  auto o = std::make_shared<Options>();
  o->job.open.models_folder = environment().models_folder;
  o->job.open.isa = environment().isa;
  return o;
}

}  // namespace

void add_export(CLI::App& program) {
  const auto o = make_options();
  CLI::App* verb =
      add_verb(program, "export",
               tr("A tuned model as GGUF and Modelfile", "把微调结果导出为 GGUF 和 Modelfile"),
               "zhiyin export run --out persona --type Q4_K_M");
  verb->add_option("RUN", o->job.run, tr("output_dir of tune", "微调的 output_dir"))->required();
  verb->add_option("--out", o->job.out, tr("Folder for the files", "输出文件夹"))->required();
  verb->add_option("--type", o->job.types,
                   tr("Q4_K_M, Q8_0, …; several may be given. Default: Q8_0 and Q4_K_M",
                      "Q4_K_M、Q8_0……；可给多个。默认 Q8_0 和 Q4_K_M"));
  verb->add_option("--name", o->job.name, tr("Name of the model", "模型名字"));
  verb->add_option("--base", o->job.base,
                   tr("The base, where the adapter names another place", "基础模型"));
  verb->add_option("--system", o->job.system, tr("SYSTEM of the Modelfile", "Modelfile 的 SYSTEM"));
  verb->add_flag(
      "--no-probe", o->no_probe,
      tr("Do not ask the exported model whether it stops", "不检验导出的模型能否自行停止"));
  verb->add_flag("--json", o->json, tr("Print JSON", "输出 JSON"));
  verb->callback([o] { run_export(*o); });
}

void add_quantize(CLI::App& program) {
  const auto o = make_options();
  CLI::App* verb =
      add_verb(program, "quantize", tr("A GGUF in another format", "转换 GGUF 的量化格式"),
               "zhiyin quantize model-F16.gguf model-Q4_K_M.gguf --type Q4_K_M");
  verb->add_option("IN", o->in, tr("A GGUF or the name of one", "GGUF 文件或名字"))->required();
  verb->add_option("OUT", o->out, tr("The file to write", "输出文件"))->required();
  verb->add_option("--type", o->type, tr("One of ", "可选：") + join(quantize_types()))->required();
  verb->add_option("--threads", o->job.open.threads,
                   tr("Threads; 0: one a physical core", "线程数"));
  verb->add_flag("--json", o->json, tr("Print JSON", "输出 JSON"));
  verb->callback([o] { run_quantize(*o); });
}

}  // namespace zhiyin::cli
