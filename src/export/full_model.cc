#include "export/full_model.h"

#include <algorithm>
#include <filesystem>
#include <vector>

#include "base/error.h"
#include "base/file.h"
#include "io/gguf.h"
#include "io/safetensors.h"
#include "io/tensor_names.h"
#include "quant/mix.h"

namespace zhiyin {
namespace {

namespace fs = std::filesystem;

Format format_of(const TensorEntry& tensor) {
  const Format format = tensor.required_format();
  const bool dense = format == Format::kF32 || format == Format::kF16 || format == Format::kBF16;
  return dense ? format : Format::kF16;
}

// The bytes of a tensor in its new format, a band of rows at a time.
template <typename Writer>
void write_values(Writer& writer, const std::string& name, const TensorEntry& tensor,
                  std::span<const float> values) {
  const int64_t count = tensor.element_count(), cols = tensor.shape.back();
  check(static_cast<int64_t>(values.size()) == count, ErrorCode::kFailed, tensor.name, ": ",
        values.size(), " values for a tensor of ", count);
  const FormatInfo& info = format_info(format_of(tensor));
  const int64_t stride = row_bytes(info.format, cols);
  const int64_t band = std::max<int64_t>(1, (int64_t{4} << 20) / std::max<int64_t>(1, cols));
  std::vector<uint8_t> packed;
  for (int64_t begin = 0, rows = count / cols; begin < rows; begin += band) {
    const int64_t end = std::min(rows, begin + band);
    packed.resize(static_cast<size_t>((end - begin) * stride));
    for (int64_t r = begin; r < end; ++r) {
      info.pack(values.data() + r * cols, packed.data() + (r - begin) * stride, cols, nullptr);
    }
    writer.write(name, packed.data(), packed.size());
  }
}

// Declares and writes all tensors; `name_of` gives the name in the file.
template <typename Writer, typename NameOf>
void write_tensors(Writer& writer, const ModelFiles& base, const TensorValues& values,
                   const NameOf& name_of) {
  const auto is_new = [&](const TensorEntry& tensor) { return values.contains(tensor.name); };
  for (const TensorEntry& tensor : base.tensors) {
    writer.add_tensor(name_of(tensor),
                      is_new(tensor) ? format_of(tensor) : tensor.required_format(), tensor.shape);
  }
  writer.start();
  for (const TensorEntry& tensor : base.tensors) {
    if (is_new(tensor)) {
      write_values(writer, name_of(tensor), tensor, values.find(tensor.name)->second);
    } else {
      writer.write(name_of(tensor), tensor.data, tensor.bytes);
    }
  }
  writer.finish();
}

void write_gguf(const ModelFiles& base, const TensorValues& values,
                const std::string& chat_template, const std::string& path) {
  const std::string architecture = base.gguf->architecture();
  GgufWriter writer(path);
  for (const GgufField& field : base.gguf->metadata().fields()) {
    // A split base becomes one file.
    if (!field.key.starts_with("split.")) writer.set(field);
  }
  writer.set("tokenizer.chat_template", chat_template);
  writer.set("general.file_type", mix_info(Mix::kF16).file_type);
  write_tensors(writer, base, values, [&](const TensorEntry& tensor) {
    return gguf_tensor_name(architecture, tensor.name).value_or(tensor.name);
  });
}

void write_folder(const ModelFiles& base, const TensorValues& values, const std::string& folder) {
  for (const char* name : {"config.json", "generation_config.json"}) {
    const fs::path from = fs::path(base.path) / name;
    if (fs::exists(from)) write_file(folder + "/" + name, read_file(from.string()));
  }
  for (const auto& [name, file] : base.tokenizer_files) {
    write_file(folder + "/" + name, *base.tokenizer_file(name));
  }
  SafetensorsWriter writer(folder + "/model.safetensors");
  writer.set_metadata("format", "pt");
  write_tensors(writer, base, values, [](const TensorEntry& tensor) { return tensor.name; });
}

}  // namespace

void write_full_model(const ModelFiles& base, const TensorValues& values,
                      const std::string& chat_template, const std::string& folder) {
  fs::create_directories(folder);
  if (base.gguf.has_value()) {
    write_gguf(base, values, chat_template, folder + "/model.gguf");
  } else {
    write_folder(base, values, folder);
    write_file(folder + "/chat_template.jinja", chat_template);
  }
}

}  // namespace zhiyin
