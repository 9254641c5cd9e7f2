// Writing a model whose weights were trained, in the kind of its base: a Hugging Face folder again,
// or a GGUF.
#pragma once

#include <map>
#include <span>
#include <string>

#include "io/model_files.h"
#include "tensor/context.h"

namespace zhiyin {

// New values of tensors, by their Hugging Face names; row-major, as many as the tensor has.
using TensorValues = std::map<std::string, std::span<const float>, std::less<>>;

// Into `folder`: a model as write_hf_model() writes it, or model.gguf, with this chat template. The
// weights have the type of the base's largest tensor where that is F32, F16 or BF16, else F16.
// A model that is there already is replaced. Throws kFailed where the counts of values differ.
void write_full_model(Context& context, const ModelFiles& base, const TensorValues& values,
                      const std::string& chat_template, const std::string& folder);

}  // namespace zhiyin
