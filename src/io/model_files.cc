#include "io/model_files.h"

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>

#include "base/utf8.h"
#include "io/gguf_config.h"
#include "io/hf_config.h"
#include "io/json_fields.h"
#include "io/safetensors.h"
#include "io/tensor_names.h"

namespace zhiyin {
namespace {

namespace fs = std::filesystem;

constexpr const char* kTokenizerFiles[] = {
    "tokenizer.json",  "tokenizer_config.json",   "vocab.json",        "merges.txt", "vocab.txt",
    "tokenizer.model", "special_tokens_map.json", "added_tokens.json",
};
// Enough to build a tokenizer from, alone or (vocab.json) with merges.txt.
constexpr const char* kVocabularyFiles[] = {"tokenizer.json", "vocab.json", "vocab.txt",
                                            "tokenizer.model"};

std::string in_folder(const std::string& folder, std::string_view name) {
  return (fs::path(folder) / name).string();
}

bool has_file(const std::string& folder, std::string_view name) {
  return file_exists(in_folder(folder, name));
}

// Names in a folder, sorted; folders end in '/'.
std::vector<std::string> entries_of(const std::string& folder) {
  std::vector<std::string> names;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(folder, error)) {
    const bool is_folder = entry.is_directory(error);
    names.push_back(entry.path().filename().string() + (is_folder ? "/" : ""));
  }
  std::ranges::sort(names);
  return names;
}

// "a, b, c … 12 in all", so that a message stays one line.
std::string shortened(const std::vector<std::string>& names) {
  constexpr size_t kShown = 12;
  if (names.empty()) return "nothing";
  if (names.size() <= kShown) return join(names);
  return cat(join(std::vector(names.begin(), names.begin() + kShown)), " … ", names.size(),
             " in all");
}

bool is_gguf_file(const std::string& path) {
  const MmapFile file(path);
  return is_gguf({file.data(), file.size()});
}

// GGUF files of a folder; of a split model only the first part.
std::vector<std::string> ggufs_in(const std::string& folder) {
  std::vector<std::string> names;
  for (const std::string& name : entries_of(folder)) {
    if (!name.ends_with(".gguf")) continue;
    const bool later_part = name.find("-of-") != name.npos && name.find("-00001-of-") == name.npos;
    if (!later_part && is_gguf_file(in_folder(folder, name))) names.push_back(name);
  }
  return names;
}

bool has_safetensors(const std::string& folder) {
  return std::ranges::any_of(entries_of(folder), [](const std::string& name) {
    return name.ends_with(".safetensors") || name.ends_with(".safetensors.index.json");
  });
}

// ---------------------------------------------------------------------------------------- GGUF

ModelFiles open_gguf(const std::string& path) {
  ModelFiles files;
  files.kind = ModelKind::kGguf;
  files.path = path;
  files.gguf.emplace(path);
  const GgufMetadata& metadata = files.gguf->metadata();
  const std::string_view type = metadata.find_string("general.type").value_or("model");
  check(type != "adapter", ErrorCode::kUsage, path,
        ": is a LoRA adapter, not a model; open its base and give this file as the adapter");
  check(type == "model", ErrorCode::kUnsupported, path, ": holds a ", printable(type),
        ", not a model");

  if (files.gguf->tensors().empty()) {
    check(metadata.has("tokenizer.ggml.tokens"), ErrorCode::kNotFound, path,
          ": holds neither tensors nor a vocabulary");
    files.kind = ModelKind::kGgufVocabulary;
  } else {
    files.config = config_from_gguf(*files.gguf);
    files.tensors = files.gguf->tensors();
    for (TensorEntry& tensor : files.tensors) {
      tensor.name = hf_tensor_name(files.config->architecture, tensor.name);
    }
  }
  files.generation = generation_from_gguf(metadata);

  constexpr std::string_view kTemplate = "tokenizer.chat_template";
  if (const auto text = metadata.find_string(kTemplate)) {
    files.chat_templates.push_back({"default", std::string(*text), std::string(kTemplate)});
  }
  for (const GgufField& field : metadata.fields()) {
    if (field.type != GgufType::kString || !field.key.starts_with(cat(kTemplate, "."))) continue;
    files.chat_templates.push_back({std::string(field.key.substr(kTemplate.size() + 1)),
                                    std::string(*metadata.find_string(field.key)),
                                    std::string(field.key)});
  }
  return files;
}

// ------------------------------------------------------------------------- Hugging Face folder

// tokenizer_config.json: one text or a list of {"name", "template"}.
void add_config_templates(const std::string& folder, std::vector<ChatTemplateText>& templates) {
  const std::string name = "tokenizer_config.json", path = in_folder(folder, name);
  if (!file_exists(path)) return;
  const nlohmann::json json = read_json_file(path);
  const JsonFields fields(json, path);
  const auto found = json.find("chat_template");
  if (found == json.end() || found->is_null()) return;
  if (!found->is_array()) {
    templates.push_back({"default", *fields.find_string("chat_template"), name});
    return;
  }
  for (const nlohmann::json& item : *found) {
    const JsonFields named(item, cat(path, ": chat_template"));
    const auto label = named.find_string("name"), text = named.find_string("template");
    check(label && text, ErrorCode::kFailed, named.name(), ": an entry lacks name or template");
    templates.push_back({*label, *text, name});
  }
}

// Those of separate files win over tokenizer_config.json, as in transformers.
std::vector<ChatTemplateText> chat_templates_of(const std::string& folder) {
  std::vector<ChatTemplateText> templates;
  const std::string separate = "chat_template.jinja", old = "chat_template.json";
  if (has_file(folder, separate)) {
    templates.push_back({"default", read_file(in_folder(folder, separate)), separate});
  } else if (has_file(folder, old)) {
    const nlohmann::json json = read_json_file(in_folder(folder, old));
    if (auto text = JsonFields(json, in_folder(folder, old)).find_string("chat_template")) {
      templates.push_back({"default", *std::move(text), old});
    }
  }
  const std::string more = "additional_chat_templates";
  for (const std::string& name : entries_of(in_folder(folder, more))) {
    if (!name.ends_with(".jinja")) continue;
    const std::string relative = cat(more, "/", name);
    templates.push_back({name.substr(0, name.size() - sizeof ".jinja" + 1),
                         read_file(in_folder(folder, relative)), relative});
  }

  std::vector<ChatTemplateText> others;
  add_config_templates(folder, others);
  for (ChatTemplateText& other : others) {
    const bool known = std::ranges::count(templates, other.name, &ChatTemplateText::name) > 0;
    if (!known) templates.push_back(std::move(other));
  }
  const auto main = std::ranges::find(templates, "default", &ChatTemplateText::name);
  if (main != templates.end()) std::rotate(templates.begin(), main, main + 1);
  return templates;
}

std::vector<TensorEntry> folder_tensors(const std::string& folder) {
  const std::string index = "model.safetensors.index.json";
  if (has_file(folder, index)) return open_sharded_safetensors(in_folder(folder, index));
  if (has_file(folder, "model.safetensors")) {
    return open_safetensors(in_folder(folder, "model.safetensors")).tensors;
  }
  std::vector<std::string> names;
  for (const std::string& name : entries_of(folder)) {
    if (name.ends_with(".safetensors")) names.push_back(name);
  }
  if (names.size() == 1) return open_safetensors(in_folder(folder, names[0])).tensors;
  check(names.empty(), ErrorCode::kUsage, folder, ": holds several safetensors files and no ",
        index, ": ", shortened(names));
  return {};
}

ModelFiles open_hugging_face_folder(const std::string& folder) {
  ModelFiles files;
  files.kind = ModelKind::kTokenizerFiles;
  files.path = folder;
  if (has_file(folder, "config.json")) {
    files.kind = ModelKind::kHuggingFace;
    const std::string path = in_folder(folder, "config.json");
    files.config = config_from_json(read_file(path), path);
    files.tensors = folder_tensors(folder);
  }
  if (has_file(folder, "generation_config.json")) {
    const std::string path = in_folder(folder, "generation_config.json");
    files.generation = generation_from_json(read_file(path), path);
  }
  for (const char* name : kTokenizerFiles) {
    if (has_file(folder, name)) files.tokenizer_files.emplace(name, in_folder(folder, name));
  }
  files.chat_templates = chat_templates_of(folder);
  return files;
}

// ------------------------------------------------------------------------------------ whatever

ModelFiles open_folder(const std::string& folder) {
  if (has_file(folder, "adapter_config.json") && !has_file(folder, "config.json")) {
    const std::string path = in_folder(folder, "adapter_config.json");
    const nlohmann::json json = read_json_file(path);
    const auto base = JsonFields(json, path).find_string("base_model_name_or_path");
    fail(ErrorCode::kUsage, folder, ": is a LoRA adapter", base ? " of " : "",
         printable(base.value_or("")),
         ", not a model; open its base and give this folder as the adapter");
  }
  // Some folders of GGUF files keep the config.json of the model they were made from.
  const std::vector<std::string> ggufs = ggufs_in(folder);
  if (has_file(folder, "config.json") && (ggufs.empty() || has_safetensors(folder))) {
    return open_hugging_face_folder(folder);
  }
  if (ggufs.size() == 1) return open_gguf(in_folder(folder, ggufs[0]));
  check(ggufs.empty(), ErrorCode::kUsage, folder, ": holds ", ggufs.size(),
        " GGUF models, name one: ", shortened(ggufs));
  const bool vocabulary = std::ranges::any_of(
      kVocabularyFiles, [&](const char* name) { return has_file(folder, name); });
  if (vocabulary) return open_hugging_face_folder(folder);
  fail(ErrorCode::kNotFound, folder,
       ": holds no model (config.json with model.safetensors, a .gguf file or tokenizer files); "
       "it holds ",
       shortened(entries_of(folder)));
}

ModelFiles open_safetensors_file(const std::string& path) {
  const fs::path folder = fs::path(path).parent_path();
  if (file_exists((folder / "config.json").string())) {
    return open_folder(folder.empty() ? "." : folder.string());
  }
  ModelFiles files;
  files.kind = ModelKind::kSafetensors;
  files.path = path;
  files.tensors = open_safetensors(path).tensors;
  return files;
}

// Says what the file is instead.
[[noreturn]] void fail_as_no_model(const std::string& path, std::string_view bytes) {
  const char* what = "is neither GGUF nor safetensors";
  if (bytes.empty()) {
    what = "is empty";
  } else if (bytes.starts_with("version https://git-lfs")) {
    what = "is a Git LFS pointer, not the model itself; run git lfs pull";
  } else if (bytes.starts_with("PK\x03\x04") || bytes.starts_with("\x80\x02")) {
    what = "is a PyTorch pickle; convert the model to safetensors or GGUF";
  } else if (bytes.starts_with("<")) {
    what = "is a web page, not a model; the download went wrong";
  }
  fail(ErrorCode::kUnsupported, path, ": ", what);
}

}  // namespace

std::optional<std::string_view> ModelFiles::tokenizer_file(std::string_view name) const {
  const auto found = tokenizer_files.find(name);
  if (found == tokenizer_files.end()) return std::nullopt;
  return std::string_view(reinterpret_cast<const char*>(found->second.data()),
                          found->second.size());
}

void ModelFiles::require_weights() const {
  check(kind != ModelKind::kGgufVocabulary, ErrorCode::kNotFound, path,
        ": holds a vocabulary only, no weights");
  check(config.has_value(), ErrorCode::kNotFound, path, ": has no config.json, so ",
        tensors.empty() ? "there is no model" : "the tensors cannot be run");
  check(!tensors.empty(), ErrorCode::kNotFound, path,
        ": has config.json but no weights (model.safetensors or model.safetensors.index.json)",
        has_file(path, "pytorch_model.bin") ? "; convert pytorch_model.bin to safetensors" : "");
}

std::vector<std::string> list_models(const std::string& models_folder) {
  std::vector<std::string> names;
  for (std::string name : entries_of(models_folder)) {
    if (name.ends_with("/")) name.pop_back();
    if (!name.starts_with(".") && name.find(".tmp-") == name.npos) names.push_back(std::move(name));
  }
  return names;
}

std::string find_model(const std::string& path_or_name, const std::string& models_folder) {
  std::error_code error;
  if (fs::exists(path_or_name, error)) return path_or_name;
  check(path_or_name.find('/') == path_or_name.npos && !path_or_name.empty(), ErrorCode::kNotFound,
        path_or_name, ": no such file or folder");

  const std::vector<std::string> models = list_models(models_folder);
  std::vector<std::string> candidates;
  for (const std::string& model : models) {
    if (model == path_or_name || model == path_or_name + ".gguf") {
      return in_folder(models_folder, model);
    }
    const bool typed = model.starts_with(path_or_name + "-") && model.ends_with(".gguf");
    if (typed) candidates.push_back(model);
  }
  check(candidates.size() <= 1, ErrorCode::kUsage, path_or_name, ": could be ",
        join(candidates, " or "), "; name one");
  check(!candidates.empty(), ErrorCode::kNotFound, path_or_name,
        ": no such file or folder, nor a model in ", models_folder, ", which holds ",
        shortened(models));
  return in_folder(models_folder, candidates[0]);
}

ModelFiles open_model_files(const std::string& path_or_name, const std::string& models_folder) {
  const std::string path = find_model(path_or_name, models_folder);
  std::error_code error;
  if (fs::is_directory(path, error)) return open_folder(path);
  const MmapFile file(path);
  const std::span<const uint8_t> bytes(file.data(), file.size());
  if (is_gguf(bytes)) return open_gguf(path);
  if (is_safetensors(bytes)) return open_safetensors_file(path);
  fail_as_no_model(path, {reinterpret_cast<const char*>(bytes.data()), bytes.size()});
}

}  // namespace zhiyin
