// Loads the tokenizers that tests need, from each kind of file.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "base/file.h"
#include "io/gguf.h"
#include "text/spec_gguf.h"
#include "text/spec_json.h"
#include "text/tokenizer.h"

namespace zhiyin::testing {

// Views into the file, which must outlive them.
inline GgufTokenizerFields gguf_tokenizer_fields(const GgufFile& file) {
  const GgufMetadata& metadata = file.metadata();
  const auto key = [](const char* name) { return std::string("tokenizer.ggml.") + name; };
  GgufTokenizerFields fields;
  fields.model = metadata.find_string(key("model")).value_or("");
  fields.pre = metadata.find_string(key("pre"));
  fields.tokens = metadata.find_strings(key("tokens")).value_or(std::vector<std::string_view>());
  fields.scores = metadata.find_floats(key("scores")).value_or(std::vector<float>());
  fields.token_types = metadata.find_integers(key("token_type")).value_or(std::vector<int64_t>());
  fields.merges = metadata.find_strings(key("merges")).value_or(std::vector<std::string_view>());
  fields.bos = metadata.find_i64(key("bos_token_id"));
  fields.eos = metadata.find_i64(key("eos_token_id"));
  fields.unknown = metadata.find_i64(key("unknown_token_id"));
  fields.separator = metadata.find_i64(key("seperator_token_id"));
  fields.padding = metadata.find_i64(key("padding_token_id"));
  fields.cls = metadata.find_i64(key("cls_token_id"));
  fields.mask = metadata.find_i64(key("mask_token_id"));
  fields.add_bos = metadata.find_bool(key("add_bos_token"));
  fields.add_eos = metadata.find_bool(key("add_eos_token"));
  return fields;
}

inline std::unique_ptr<Tokenizer> load_gguf_tokenizer(const std::string& path) {
  const GgufFile file(path);
  return make_tokenizer(tokenizer_spec_from_gguf(gguf_tokenizer_fields(file)));
}

// A folder with any of the sets of files that a tokenizer can come from.
inline std::unique_ptr<Tokenizer> load_tokenizer_folder(const std::string& folder) {
  const auto text = [&](const char* name) {
    const std::string path = folder + "/" + name;
    return file_exists(path) ? read_file(path) : std::string();
  };
  const auto has = [&](const char* name) { return file_exists(folder + "/" + name); };
  const std::string config = text("tokenizer_config.json");
  if (has("vocab.gguf")) return load_gguf_tokenizer(folder + "/vocab.gguf");
  if (has("tokenizer.json")) {
    return make_tokenizer(tokenizer_spec_from_json(text("tokenizer.json"), config));
  }
  if (has("vocab.json")) {
    return make_tokenizer(
        tokenizer_spec_from_merges(text("vocab.json"), text("merges.txt"), config));
  }
  return make_tokenizer(tokenizer_spec_from_wordpieces(text("vocab.txt"), config));
}

}  // namespace zhiyin::testing
