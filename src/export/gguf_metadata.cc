#include "export/gguf_metadata.h"

#include <filesystem>

#include "base/error.h"
#include "io/gguf_config.h"
#include "text/gguf_fields.h"

namespace zhiyin {
namespace {

constexpr const char* kTemplate = "tokenizer.chat_template";

void set_tokenizer(GgufWriter& writer, const GgufTokenizerFields& fields) {
  const auto key = [](const char* name) { return std::string("tokenizer.ggml.") + name; };
  writer.set(key("model"), fields.model);
  if (fields.pre) writer.set(key("pre"), *fields.pre);
  writer.set_array(key("tokens"), std::span<const std::string_view>(fields.tokens));
  std::vector<int32_t> types(fields.token_types.begin(), fields.token_types.end());
  writer.set_array(key("token_type"), std::span<const int32_t>(types));
  if (!fields.scores.empty()) {
    writer.set_array(key("scores"), std::span<const float>(fields.scores));
  }
  if (!fields.merges.empty()) {
    writer.set_array(key("merges"), std::span<const std::string_view>(fields.merges));
  }
  const auto set_id = [&](const char* name, std::optional<int64_t> id) {
    if (id) writer.set(key(name), static_cast<uint32_t>(*id));
  };
  set_id("bos_token_id", fields.bos);
  set_id("eos_token_id", fields.eos);
  set_id("eot_token_id", fields.eot);
  set_id("eom_token_id", fields.eom);
  set_id("unknown_token_id", fields.unknown);
  set_id("padding_token_id", fields.padding);
  set_id("seperator_token_id", fields.separator);
  set_id("mask_token_id", fields.mask);
  const auto set_flag = [&](const char* name, std::optional<bool> flag) {
    if (flag) writer.set(key(name), *flag);
  };
  set_flag("add_bos_token", fields.add_bos);
  set_flag("add_eos_token", fields.add_eos);
  set_flag("add_space_prefix", fields.add_space_prefix);
}

void take_over(GgufWriter& writer, const GgufMetadata& metadata) {
  for (const GgufField& field : metadata.fields()) {
    // A split base becomes one file.
    if (!field.key.starts_with("split.")) writer.set(field);
  }
}

void make_from_folder(GgufWriter& writer, const GgufExport& job) {
  const ModelFiles& base = *job.base;
  set_gguf_config(writer, *base.config, base.path);
  const std::filesystem::path path = std::filesystem::path(base.path).lexically_normal();
  const bool slash = path.filename().empty();
  writer.set("general.name", (slash ? path.parent_path() : path).filename().string());
  set_gguf_generation(writer, base.generation);
  if (job.tokenizer != nullptr) {
    const GgufTokenizer tokenizer = gguf_tokenizer(*job.tokenizer, base.config->vocab_size);
    set_tokenizer(writer, tokenizer.fields);
  }
  for (const ChatTemplateText& text : base.chat_templates) {
    writer.set(text.name == "default" ? std::string(kTemplate) : cat(kTemplate, ".", text.name),
               text.text);
  }
}

}  // namespace

void write_gguf_metadata(GgufWriter& writer, const GgufExport& job) {
  if (job.base->gguf) {
    take_over(writer, job.base->gguf->metadata());
  } else {
    make_from_folder(writer, job);
  }
  if (!job.name.empty()) writer.set("general.name", job.name);
  if (!job.chat_template.empty()) writer.set(kTemplate, job.chat_template);
  if (job.end_of_answer) {
    writer.set("tokenizer.ggml.eos_token_id", static_cast<uint32_t>(*job.end_of_answer));
  }
  if (job.add_bos) writer.set("tokenizer.ggml.add_bos_token", *job.add_bos);
  writer.set("general.file_type", mix_info(job.mix).file_type);
  writer.set("general.quantization_version", GgufWriter::kQuantizationVersion);
}

}  // namespace zhiyin
