// Opens whatever names a model: a GGUF (also split, also vocabulary-only), a safetensors file, a
// Hugging Face folder, a folder with one GGUF, a folder with tokenizer files alone. What it is
// follows from the content, never from the ending of a name.
//
// Nothing is copied: tensors, tokenizer files and GGUF strings are views into mapped files. Whether
// the architecture is known is for the registry of families to say.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/mmap_file.h"
#include "io/generation_defaults.h"
#include "io/gguf.h"
#include "io/tensor_entry.h"
#include "nn/model_config.h"

namespace zhiyin {

struct ChatTemplateText {
  std::string name;    // "default", or "tool_use", "rag" of models with several
  std::string text;    // Jinja
  std::string origin;  // "chat_template.jinja", "tokenizer_config.json", "tokenizer.chat_template"
};

enum class ModelKind {
  kGguf,
  kGgufVocabulary,  // tokenizer fields without tensors
  kHuggingFace,     // config.json, with or without weights
  kTokenizerFiles,  // a folder with tokenizer files and no config.json
  kSafetensors,     // tensors without a config.json beside them
};

struct ModelFiles {
  ModelKind kind = ModelKind::kGguf;
  // The file or folder that the name led to.
  std::string path;
  // Absent for kGgufVocabulary, kTokenizerFiles, kSafetensors.
  std::optional<ModelConfig> config;
  GenerationDefaults generation;
  // Hugging Face names; empty where there are no weights.
  std::vector<TensorEntry> tensors;
  // kGguf, kGgufVocabulary: tokenizer.ggml.* are read from gguf->metadata().
  std::optional<GgufFile> gguf;
  // Folders: tokenizer.json, tokenizer_config.json, vocab.json, merges.txt, vocab.txt,
  // tokenizer.model, special_tokens_map.json, added_tokens.json, as far as they exist.
  std::map<std::string, MmapFile, std::less<>> tokenizer_files;
  // The default first, where there is one.
  std::vector<ChatTemplateText> chat_templates;

  // The content of a tokenizer file, nullopt without it.
  std::optional<std::string_view> tokenizer_file(std::string_view name) const;
  // Throws kNotFound, saying what is missing where, when there is no config or no tensor.
  void require_weights() const;
};

// `models_folder` is where names without a path are looked up: NAME, NAME.gguf or the one
// NAME-*.gguf. Throws kNotFound (listing what there is), kUsage for a name that could mean several
// files and for adapters, kUnsupported for a file that is no model, kFailed for a damaged one.
ModelFiles open_model_files(const std::string& path_or_name, const std::string& models_folder);

// The path that a path or name leads to, with the same errors for names.
std::string find_model(const std::string& path_or_name, const std::string& models_folder);

// Models in a folder of models, as names find_model() takes, sorted.
std::vector<std::string> list_models(const std::string& models_folder);

}  // namespace zhiyin
