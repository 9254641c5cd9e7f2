// Writing a model whose weights were trained, in the kind of its base: a Hugging Face folder again,
// or a GGUF.
#pragma once

#include <map>
#include <span>
#include <string>

#include "io/model_files.h"

namespace zhiyin {

// New values of tensors, by their Hugging Face names; row-major, as many as the tensor has.
using TensorValues = std::map<std::string, std::span<const float>, std::less<>>;

// Into `folder`: model.safetensors with config.json and the tokenizer's files beside it, or
// model.gguf, with the base's metadata and this chat template. A tensor keeps its type where that
// is F32, F16 or BF16; a quantised one becomes F16. Tensors without new values are taken over.
// Throws kFailed where the counts of values differ.
void write_full_model(const ModelFiles& base, const TensorValues& values,
                      const std::string& chat_template, const std::string& folder);

}  // namespace zhiyin
