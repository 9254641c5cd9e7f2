#include "zhiyin/export.h"

#include <algorithm>
#include <iomanip>
#include <iostream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "base/cat.h"
#include "base/error.h"
#include "cli/stages.h"
#include "cli/verb.h"

namespace zhiyin::cli {
namespace {

using Json = nlohmann::ordered_json;

struct Options {
  ExportOptions job;
  QuantizeOptions quantize;
  bool json = false, no_probe = false, no_calibration = false, preview = false;
};

Json to_json(const ExportedFile& f) {
  return {{"path", f.path},
          {"type", f.type},
          {"bytes", f.bytes},
          {"tensors_packed", f.tensors_packed},
          {"tensors_copied", f.tensors_copied},
          {"tensors_refined", f.tensors_refined},
          {"probes", f.probes},
          {"stopped", f.stopped},
          {"same_answers", f.same_answers},
          {"parity",
           {{"rows", f.parity.rows},
            {"positions", f.parity.positions},
            {"largest_logit_difference", f.parity.largest_logit_difference},
            {"mean_kl", f.parity.mean_kl},
            {"same_token_rate", f.parity.same_token_rate}}},
          {"notes", f.notes}};
}

std::string shape_text(const std::vector<int64_t>& shape) { return join(shape, " x "); }

std::string percent_text(double share) {
  std::ostringstream text;
  text << std::fixed << std::setprecision(share < 0.01 ? 3 : 2) << share * 100 << " %";
  return text.str();
}

// Four digits that count.
std::string short_number(double value) {
  std::ostringstream text;
  text << std::setprecision(4) << value;
  return text.str();
}

void print(const ExportedFile& f) {
  std::cout << f.path << "  " << bytes_text(f.bytes) << ", " << f.tensors_packed
            << tr(" tensors packed, ", " 个张量已打包，") << f.tensors_copied
            << tr(" taken over as they are", " 个原样保留");
  if (f.tensors_refined > 0) {
    std::cout << ", " << f.tensors_refined
              << tr(" rounded by what they say on training rows", " 个按训练数据上的输出舍入");
  }
  std::cout << '\n';
  if (f.parity.positions > 0) {
    const ParityReport& p = f.parity;
    std::cout << tr("  against the tuned model, ", "  与微调模型相比，") << p.positions
              << tr(" positions of ", " 个位置，") << p.rows
              << tr(" training rows: same token ", " 条训练数据：相同词元 ")
              << percent_text(p.same_token_rate) << ", KL " << short_number(p.mean_kl)
              << tr(", largest logit difference ", "，logit 最大差 ")
              << short_number(p.largest_logit_difference) << '\n';
  }
  if (f.probes > 0) {
    std::cout << tr("  stops by itself in ", "  自行停止 ") << f.stopped << tr(" of ", " / ")
              << f.probes << tr(" answers; ", " 个回答；") << f.same_answers
              << tr(" are the tuned model's word for word\n", " 个与微调模型逐字相同\n");
  }
  for (const std::string& note : f.notes) std::cout << "  " << note << '\n';
}

double bits_a_weight(const QuantizePreview& p, int64_t bytes) {
  return 8.0 * static_cast<double>(bytes) / static_cast<double>(std::max<int64_t>(1, p.elements));
}

Json to_json(const QuantizePreview& p) {
  Json tensors = Json::array();
  for (const QuantizeStep& t : p.tensors) {
    tensors.push_back({{"name", t.name},
                       {"shape", t.shape},
                       {"from", t.from},
                       {"to", t.to},
                       {"bytes_before", t.bytes_before},
                       {"bytes", t.bytes},
                       {"relative_error", t.relative_error},
                       {"largest_error", t.largest_error}});
  }
  return {{"tensors", tensors},
          {"bytes_before", p.bytes_before},
          {"bytes", p.bytes},
          {"bits_per_weight", bits_a_weight(p, p.bytes)},
          {"relative_error", p.relative_error},
          {"notes", p.notes}};
}

void print(const QuantizePreview& p, const std::string& type) {
  size_t width = 8;
  for (const QuantizeStep& t : p.tensors) width = std::max(width, t.name.size());
  const auto row = [&](const std::string& name, const std::string& shape, const std::string& from,
                       const std::string& to, const std::string& bytes, const std::string& error,
                       const std::string& largest) {
    std::cout << std::left << std::setw(static_cast<int>(width) + 2) << name << std::setw(16)
              << shape << std::setw(7) << from << std::setw(7) << to << std::right << std::setw(10)
              << bytes << std::setw(11) << error << std::setw(12) << largest << '\n';
  };
  row("tensor", "shape", "from", "to", "size", "error", "largest");
  for (const QuantizeStep& t : p.tensors) {
    const bool changes = t.from != t.to;
    row(t.name, shape_text(t.shape), t.from, t.to, bytes_text(t.bytes),
        changes ? percent_text(t.relative_error) : "-",
        changes ? short_number(t.largest_error) : "-");
  }
  std::cout << '\n'
            << type << ": " << bytes_text(p.bytes_before) << " -> " << bytes_text(p.bytes) << ", "
            << std::fixed << std::setprecision(2) << bits_a_weight(p, p.bytes_before) << " -> "
            << bits_a_weight(p, p.bytes) << tr(" bits a weight, error ", " 位/权重，误差 ")
            << percent_text(p.relative_error)
            << tr(" of the size of the weights that change; nothing was written\n",
                  "（相对改动的权重）；未写入文件\n");
  for (const std::string& note : p.notes) std::cout << note << '\n';
}

void run_export(Options& o) {
  o.job.probe = !o.no_probe;
  o.job.calibrate = !o.no_calibration;
  Stages stages;
  const ExportResult result = export_run(o.job, stages.callback());
  if (o.json) {
    Json files = Json::array();
    for (const ExportedFile& f : result.files) files.push_back(to_json(f));
    std::cout << Json{{"files", files},        {"modelfile", result.modelfile},
                      {"card", result.card},   {"conversations", result.conversations},
                      {"notes", result.notes}, {"template_origin", result.template_origin}}
              << '\n';
    return;
  }
  for (const ExportedFile& f : result.files) print(f);
  std::cout << result.modelfile << '\n'
            << result.card
            << tr("  (model card: says that this is an AI imitation)\n",
                  "  （模型卡：注明这是 AI 模仿）\n")
            << tr("chat template: ", "聊天模板：") << result.template_origin
            << tr("; training, the GGUF and the Modelfile give the same tokens on ",
                  "；训练、GGUF 和 Modelfile 的词元一致，样例对话 ")
            << result.conversations << tr(" conversations\n", " 段\n");
  for (const std::string& note : result.notes) std::cout << note << '\n';
}

void run_quantize(const Options& o) {
  Stages stages;
  if (o.preview) {
    const QuantizePreview preview = preview_quantize(o.quantize, stages.callback());
    if (o.json) {
      std::cout << to_json(preview) << '\n';
    } else {
      print(preview, o.quantize.type);
    }
    return;
  }
  check(!o.quantize.out.empty(), ErrorCode::kUsage,
        "quantize: name the file to write, or ask for --preview");
  const ExportedFile file = quantize(o.quantize, stages.callback());
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
  o->quantize.open = o->job.open;
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
                      "Q4_K_M、Q8_0……；可给多个。默认 Q8_0 和 Q4_K_M"))
      ->allow_extra_args(false);  // or it would take the run that follows
  verb->add_option("--name", o->job.name, tr("Name of the model", "模型名字"));
  verb->add_option("--base", o->job.base,
                   tr("The base, where the adapter names another place", "基础模型"));
  verb->add_option("--system", o->job.system, tr("SYSTEM of the Modelfile", "Modelfile 的 SYSTEM"));
  verb->add_option("--imatrix", o->job.importance,
                   tr("Importance matrix of llama.cpp's llama-imatrix (GGUF or .dat)",
                      "llama-imatrix 生成的重要性矩阵（GGUF 或 .dat）"))
      ->check(CLI::ExistingFile);
  verb->add_flag("--no-calibration", o->no_calibration,
                 tr("Round each weight by itself: faster, and loses what the adapter learned on a "
                    "quantised base",
                    "逐个权重舍入：更快，但量化底座上会丢失学到的内容"));
  verb->add_flag(
      "--no-probe", o->no_probe,
      tr("Do not ask the exported model whether it stops", "不检验导出的模型能否自行停止"));
  verb->add_flag("--json", o->json, tr("Print JSON", "输出 JSON"));
  verb->callback([o] { run_export(*o); });
}

void add_quantize(CLI::App& program) {
  const auto o = make_options();
  QuantizeOptions& q = o->quantize;
  CLI::App* verb = add_verb(program, "quantize",
                            tr("A GGUF or Hugging Face folder as GGUF in another format",
                               "把 GGUF 或 Hugging Face 文件夹转换为另一种量化格式的 GGUF"),
                            "zhiyin quantize model-F16.gguf model-Q4_K_M.gguf --type Q4_K_M");
  verb->add_option("IN", q.in,
                   tr("A GGUF, a Hugging Face folder or the name of one",
                      "GGUF 文件、Hugging Face 文件夹或名字"))
      ->required();
  verb->add_option("OUT", q.out, tr("The file to write", "输出文件"));
  verb->add_option("--type", q.type, tr("One of ", "可选：") + join(quantize_types()))->required();
  verb->add_option("--imatrix", q.importance,
                   tr("Importance matrix of llama.cpp's llama-imatrix (GGUF or .dat)",
                      "llama-imatrix 生成的重要性矩阵（GGUF 或 .dat）"))
      ->check(CLI::ExistingFile);
  verb->add_flag("--preview", o->preview,
                 tr("Show size and error of every tensor; write nothing",
                    "只显示每个张量的大小和误差，不写文件"));
  verb->add_option("--threads", q.open.threads, tr("Threads; 0: one a physical core", "线程数"));
  verb->add_flag("--json", o->json, tr("Print JSON", "输出 JSON"));
  verb->callback([o] { run_quantize(*o); });
}

}  // namespace zhiyin::cli
