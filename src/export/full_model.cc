#include "export/full_model.h"

#include <filesystem>

#include "base/error.h"
#include "export/gguf_export.h"
#include "export/hf_export.h"

namespace zhiyin {
namespace {

// The base with its tensors replaced by the values, in f32.
ModelFiles with_values(const ModelFiles& base, const TensorValues& values) {
  ModelFiles files = base;
  for (TensorEntry& tensor : files.tensors) {
    const auto found = values.find(tensor.name);
    if (found == values.end()) continue;
    check(static_cast<int64_t>(found->second.size()) == tensor.element_count(), ErrorCode::kFailed,
          tensor.name, ": ", found->second.size(), " values for a tensor of ",
          tensor.element_count());
    tensor.format = Format::kF32;
    tensor.type = format_info(Format::kF32).name;
    tensor.data = reinterpret_cast<const uint8_t*>(found->second.data());
    tensor.bytes = found->second.size_bytes();
  }
  return files;
}

Format format_of(const ModelFiles& base) {
  const TensorEntry* largest = &base.tensors.front();
  for (const TensorEntry& tensor : base.tensors) {
    if (tensor.element_count() > largest->element_count()) largest = &tensor;
  }
  const Format format = largest->required_format();
  return format == Format::kF32 || format == Format::kBF16 ? format : Format::kF16;
}

Mix mix_of(Format format) {
  if (format == Format::kF32) return Mix::kF32;
  return format == Format::kBF16 ? Mix::kBF16 : Mix::kF16;
}

}  // namespace

void write_full_model(Context& context, const ModelFiles& base, const TensorValues& values,
                      const std::string& chat_template, const std::string& folder) {
  const ModelFiles files = with_values(base, values);
  const Format format = format_of(base);
  std::filesystem::create_directories(folder);
  if (base.gguf) {
    GgufExport job;
    job.base = &files;
    job.mix = mix_of(format);
    job.chat_template = chat_template;
    write_gguf_model(context, job, folder + "/model.gguf");
    return;
  }
  HfExport job;
  job.base = &files;
  job.format = format;
  job.chat_template = chat_template;
  for (const char* name : {"config.json", "model.safetensors", "model.safetensors.index.json"}) {
    std::filesystem::remove(folder + "/" + name);
  }
  write_hf_model(context, job, folder);
}

}  // namespace zhiyin
