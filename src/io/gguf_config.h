// The model configuration and the sampling defaults of a GGUF, in the same neutral structs that a
// Hugging Face folder gives.
#pragma once

#include "io/generation_defaults.h"
#include "io/gguf.h"
#include "nn/model_config.h"

namespace zhiyin {

// Keys as docs/formats/gguf.md lists them. Head counts, biases, tied embeddings and frequency
// factors are read off the tensors where no key says them. Throws kFailed naming the key that is
// missing or wrong.
ModelConfig config_from_gguf(const GgufFile& file);

// general.sampling.* and the end-of-generation ids of tokenizer.ggml.*.
GenerationDefaults generation_from_gguf(const GgufMetadata& metadata);

}  // namespace zhiyin
