// Loads the tokenizers that tests need the way the program does, from each kind of file.
#pragma once

#include <memory>
#include <string>

#include "api/tokenizer_of.h"
#include "base/file.h"

namespace zhiyin::testing {

inline std::unique_ptr<Tokenizer> load_gguf_tokenizer(const std::string& path) {
  return tokenizer_of(open_model_files(path, ""));
}

// A folder with any of the sets of files that a tokenizer can come from.
inline std::unique_ptr<Tokenizer> load_tokenizer_folder(const std::string& folder) {
  const std::string vocabulary = folder + "/vocab.gguf";
  return load_gguf_tokenizer(file_exists(vocabulary) ? vocabulary : folder);
}

}  // namespace zhiyin::testing
