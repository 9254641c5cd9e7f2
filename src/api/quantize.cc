#include <algorithm>
#include <cmath>

#include "api/export_job.h"
#include "base/error.h"
#include "zhiyin/export.h"

namespace zhiyin {
namespace {

// Opens the model, makes the job and hands it to `work`.
template <typename Work>
void with_job(const QuantizeOptions& options, const ExportProgress& progress, Work work) {
  const MixInfo& mix = mix_of(options.type);
  const ModelFiles base = open_model_files(options.in, options.open.models_folder);
  base.require_weights();
  const ExportParts parts(base, options.importance);
  Context context({.threads = options.open.threads});
  GgufExport job = parts.job(mix.mix);
  if (progress) {
    job.on_progress = [&](int64_t done, int64_t total) { progress("quantize", done, total); };
  }
  work(base, context, job);
}

// What rounding twice costs is seen by nobody later on.
void note_second_rounding(const ModelFiles& base, Mix mix, std::vector<std::string>& notes) {
  const bool packs = format_info(mix_info(mix).format).block > 1;
  const bool packed = std::ranges::any_of(base.tensors, [](const TensorEntry& tensor) {
    return tensor.format && format_info(*tensor.format).block > 1;
  });
  if (packs && packed) {
    notes.push_back(cat(base.path,
                        " is quantised already: what it lost stays lost and more is lost now; "
                        "quantise the F16, BF16 or F32 model if you have it"));
  }
}

}  // namespace

ExportedFile quantize(const QuantizeOptions& options, const ExportProgress& progress) {
  ExportedFile file{.path = options.out, .type = mix_of(options.type).name};
  with_job(options, progress, [&](const ModelFiles& base, Context& context, const GgufExport& job) {
    const GgufExportResult written = write_gguf_model(context, job, options.out);
    file.bytes = written.bytes;
    file.tensors_packed = written.packed;
    file.tensors_copied = written.copied;
    note_second_rounding(base, job.mix, file.notes);
    note_importance(written, file.notes);
    check_vocabulary_lock(base, options.out);
  });
  return file;
}

QuantizePreview preview_quantize(const QuantizeOptions& options, const ExportProgress& progress) {
  QuantizePreview preview;
  with_job(options, progress, [&](const ModelFiles& base, Context& context, const GgufExport& job) {
    double errors = 0, squares = 0;
    for (const TensorPreview& t : preview_gguf_model(context, job)) {
      preview.tensors.push_back(
          {t.name, format_info(t.from).name, format_info(t.to).name, t.shape, t.bytes_before,
           t.bytes, std::sqrt(t.errors / std::max(t.squares, 1e-300)), t.largest_error});
      preview.bytes_before += t.bytes_before;
      preview.bytes += t.bytes;
      preview.elements += t.elements;
      errors += t.errors;
      squares += t.squares;
    }
    preview.relative_error = std::sqrt(errors / std::max(squares, 1e-300));
    note_second_rounding(base, job.mix, preview.notes);
  });
  return preview;
}

std::vector<std::string> quantize_types() {
  std::vector<std::string> names;
  for (const MixInfo& mix : all_mixes()) names.emplace_back(mix.name);
  return names;
}

}  // namespace zhiyin
