#include <iostream>
#include <nlohmann/json.hpp>

#include "cli/stages.h"
#include "cli/verb.h"
#include "zhiyin/export.h"

namespace zhiyin::cli {
namespace {

using Json = nlohmann::ordered_json;

struct Options {
  MergeOptions merge;
  AdapterOptions adapter;
  bool json = false;
};

void run_merge(const Options& o) {
  Stages stages;
  const MergedModelFile file = merge(o.merge, stages.callback());
  if (o.json) {
    std::cout << Json{{"path", file.path},
                      {"type", file.type},
                      {"bytes", file.bytes},
                      {"shards", file.shards},
                      {"tensors_changed", file.tensors_changed},
                      {"tensors_copied", file.tensors_copied},
                      {"notes", file.notes}}
              << '\n';
    return;
  }
  std::cout << file.path << "  " << bytes_text(file.bytes) << ", " << file.type << ", "
            << file.tensors_changed << tr(" tensors changed, ", " 个张量已改动，")
            << file.tensors_copied << tr(" taken over as they are", " 个原样保留");
  if (file.shards > 1) std::cout << ", " << file.shards << tr(" shards", " 个分片");
  std::cout << '\n';
  for (const std::string& note : file.notes) std::cout << note << '\n';
}

void run_adapter(const Options& o) {
  const AdapterFile file = convert_adapter(o.adapter);
  if (o.json) {
    std::cout << Json{{"path", file.path},       {"kind", file.gguf ? "gguf" : "peft"},
                      {"modules", file.modules}, {"rank", file.rank},
                      {"alpha", file.alpha},     {"base", file.base}}
              << '\n';
    return;
  }
  std::cout << file.path << tr(": LoRA adapter for ", "：LoRA 适配器，基础模型 ") << file.base
            << ", " << file.modules << tr(" layers, rank ", " 层，秩 ") << file.rank << ", alpha "
            << file.alpha << '\n'
            << tr("use it: ", "用法：")
            << (file.gguf ? "zhiyin run BASE --adapter " + file.path + "   (llama.cpp: --lora " +
                                file.path + ")"
                          : "zhiyin run BASE --adapter " + file.path +
                                "   (PEFT: PeftModel.from_pretrained(base, \"" + file.path + "\"))")
            << '\n';
}

std::shared_ptr<Options> make_options() {
  auto o = std::make_shared<Options>();
  o->merge.open.models_folder = environment().models_folder;
  o->merge.open.isa = environment().isa;
  o->adapter.open = o->merge.open;
  return o;
}

}  // namespace

void add_merge(CLI::App& program) {
  const auto o = make_options();
  MergeOptions& m = o->merge;
  CLI::App* verb = add_verb(program, "merge",
                            tr("A tuned model as one Hugging Face folder or one GGUF",
                               "把适配器合并进模型：Hugging Face 文件夹或 GGUF"),
                            "zhiyin merge run --out merged            # for transformers\n"
                            "  zhiyin merge run --out persona.gguf --type Q4_K_M");
  verb->add_option("MODEL", m.model,
                   tr("output_dir of tune, an adapter, or a model to convert",
                      "微调的 output_dir、适配器或要转换的模型"))
      ->required();
  verb->add_option("--out", m.out, tr("NAME.gguf, or a folder", "NAME.gguf 或文件夹"))->required();
  verb->add_option("--type", m.type,
                   tr("Folder: F32, F16, BF16. GGUF: any type of quantize. Default: as the base "
                      "has it, F16 where it is quantised",
                      "文件夹：F32、F16、BF16；GGUF：quantize 的任意类型。默认同基础模型，"
                      "量化的基础模型用 F16"));
  verb->add_option("--base", m.base,
                   tr("The base, where the adapter names another place", "基础模型"));
  verb->add_option("--imatrix", m.importance,
                   tr("Importance matrix of llama.cpp's llama-imatrix (GGUF or .dat)",
                      "llama-imatrix 生成的重要性矩阵（GGUF 或 .dat）"))
      ->check(CLI::ExistingFile);
  verb->add_option("--threads", m.open.threads, tr("Threads; 0: one a physical core", "线程数"));
  verb->add_flag("--json", o->json, tr("Print JSON", "输出 JSON"));
  verb->callback([o] { run_merge(*o); });
}

void add_adapter(CLI::App& program) {
  const auto o = make_options();
  AdapterOptions& a = o->adapter;
  CLI::App* verb = add_verb(program, "adapter",
                            tr("A LoRA adapter alone, for PEFT or for llama.cpp",
                               "单独导出 LoRA 适配器（PEFT 或 "
                               "llama.cpp 格式）"),
                            "zhiyin adapter run --out persona-lora.gguf    # llama.cpp, Ollama\n"
                            "  zhiyin adapter run --out persona-lora        # PEFT");
  verb->add_option("IN", a.in,
                   tr("output_dir of tune, a PEFT folder or a GGUF adapter",
                      "微调的 output_dir、PEFT 文件夹或 GGUF 适配器"))
      ->required();
  verb->add_option("--out", a.out,
                   tr("NAME.gguf, or a folder for PEFT", "NAME.gguf 或 PEFT 文件夹"))
      ->required();
  verb->add_option("--base", a.base,
                   tr("The base, where the adapter names another place", "基础模型"));
  verb->add_flag("--json", o->json, tr("Print JSON", "输出 JSON"));
  verb->callback([o] { run_adapter(*o); });
}

}  // namespace zhiyin::cli
