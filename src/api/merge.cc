#include "api/calibration.h"
#include "api/export_job.h"
#include "api/tokenizer_of.h"
#include "base/error.h"
#include "export/hf_export.h"
#include "io/gguf_config.h"
#include "io/lora_file.h"
#include "zhiyin/export.h"

namespace zhiyin {
namespace {

bool is_gguf_name(const std::string& path) { return path.ends_with(".gguf"); }

// What is merged: a base with its adapter, or a model alone.
struct Source {
  std::optional<LoraAdapter> adapter;
  ModelFiles base;
  TrainedTemplate trained;
  std::optional<int32_t> end;
  std::optional<bool> add_bos;
};

Source open_source(const MergeOptions& options) {
  Source source;
  std::string base = options.model;
  if (is_lora_adapter(options.model)) {
    source.adapter = read_lora_adapter(options.model);
    base = base_of(*source.adapter, options.base, options.model);
  } else {
    check(options.base.empty(), ErrorCode::kUsage, options.model,
          ": is no adapter, so --base has no meaning");
  }
  source.base = open_model_files(base, options.open.models_folder);
  source.base.require_weights();
  source.trained = trained_template(options.model, source.base);
  const std::unique_ptr<Tokenizer> tokenizer = tokenizer_of(source.base);
  if (source.trained.of_run && tokenizer != nullptr) {
    const ChatTemplate trained(source.trained.text, source.trained.origin);
    source.add_bos = bos_of_template(*tokenizer, trained);
    source.end = end_of_answer(*tokenizer, trained);
  }
  return source;
}

void merge_to_gguf(const MergeOptions& options, const Source& source, Context& context,
                   const std::function<void(int64_t, int64_t)>& on_progress,
                   MergedModelFile& file) {
  const MixInfo& mix = mix_of(options.type.empty() ? "F16" : options.type);
  const ExportParts parts(source.base, options.importance);
  GgufExport job = parts.job(mix.mix);
  job.adapter = source.adapter ? &*source.adapter : nullptr;
  RunViews calibration;
  if (source.adapter && format_info(mix.format).block > 1) {
    calibration = views_of_run(options.model, source.base.path, options.open, file.notes);
    job.views = calibration.views.get();
  }
  if (source.trained.of_run) job.chat_template = source.trained.text;
  job.end_of_answer = source.end;
  job.add_bos = source.add_bos;
  job.on_progress = on_progress;
  const GgufExportResult written = write_gguf_model(context, job, options.out);
  file.type = mix.name;
  file.bytes = written.bytes;
  file.tensors_changed = written.packed;
  file.tensors_copied = written.copied;
  note_importance(written, file.notes);
}

void merge_to_folder(const MergeOptions& options, const Source& source, Context& context,
                     const std::function<void(int64_t, int64_t)>& on_progress,
                     MergedModelFile& file) {
  HfExport job;
  job.base = &source.base;
  job.adapter = source.adapter ? &*source.adapter : nullptr;
  std::optional<TokenizerSpec> tokenizer;
  if (source.base.gguf) tokenizer = tokenizer_spec_of(source.base);
  job.tokenizer = tokenizer ? &*tokenizer : nullptr;
  if (!options.type.empty()) {
    const FormatInfo* format = find_format(options.type);
    check(format != nullptr && format->block == 1, ErrorCode::kUsage, "the type ", options.type,
          " is not for a Hugging Face folder, which holds F32, F16 or BF16; for a quantised model "
          "name a .gguf as --out");
    job.format = format->format;
  }
  check(options.importance.empty(), ErrorCode::kUsage,
        "an importance matrix is for a quantised .gguf, not for a Hugging Face folder");
  if (source.trained.of_run) job.chat_template = source.trained.text;
  job.end_of_answer = source.end;
  job.on_progress = on_progress;
  const HfExportResult written = write_hf_model(context, job, options.out);
  file.type = job.format ? options.type : source.base.gguf ? "F16" : "as the base";
  file.bytes = written.bytes;
  file.shards = written.shards;
  file.tensors_changed = written.converted;
  file.tensors_copied = written.copied;
}

}  // namespace

MergedModelFile merge(const MergeOptions& options, const ExportProgress& progress) {
  const Source source = open_source(options);
  Context context({.threads = options.open.threads});
  MergedModelFile file{.path = options.out};
  const std::function<void(int64_t, int64_t)> on_progress = [&](int64_t done, int64_t total) {
    if (progress) progress("merge", done, total);
  };
  if (is_gguf_name(options.out)) {
    merge_to_gguf(options, source, context, on_progress, file);
  } else {
    merge_to_folder(options, source, context, on_progress, file);
  }
  check_vocabulary_lock(source.base, options.out);
  if (source.trained.of_run) {
    check_template_lock(Model::open(options.out, options.open), source.trained.text, options.out);
  }
  return file;
}

AdapterFile convert_adapter(const AdapterOptions& options) {
  check(is_lora_adapter(options.in), ErrorCode::kUsage, options.in,
        ": is no LoRA adapter (a PEFT folder with adapter_config.json, or a GGUF adapter)");
  LoraAdapter adapter = read_lora_adapter(options.in);
  const ModelFiles base =
      open_model_files(base_of(adapter, options.base, options.in), options.open.models_folder);
  check(base.config.has_value(), ErrorCode::kUnsupported, base.path,
        ": has no configuration, which says what the adapter is for");
  if (adapter.base_model.empty()) adapter.base_model = options.base;
  AdapterFile file{.path = options.out,
                   .gguf = is_gguf_name(options.out),
                   .modules = static_cast<int64_t>(adapter.modules.size()),
                   .rank = adapter.rank,
                   .alpha = adapter.alpha,
                   .base = adapter.base_model};
  if (file.gguf) {
    write_gguf_adapter(options.out, std::move(adapter), gguf_architecture(*base.config),
                       base.config->head_dim);
  } else {
    write_peft_adapter(options.out, std::move(adapter), base.config->head_dim);
  }
  return file;
}

}  // namespace zhiyin
