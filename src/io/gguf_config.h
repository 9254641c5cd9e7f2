// The model configuration and the sampling defaults of a GGUF, in the same neutral structs that a
// Hugging Face folder gives.
#pragma once

#include <string>
#include <vector>

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

// The names of an architecture in a GGUF ("qwen2") and in config.json ("Qwen2ForCausalLM"), given
// either. Throw kUnsupported, naming those that can be written.
std::string gguf_architecture(const ModelConfig& config);
std::string hf_architecture(const ModelConfig& config);

// The way back: a configuration as GGUF keys, as llama.cpp's converter writes them. `path` names
// the model in messages. Throws kUnsupported for what llama.cpp could not run.
void set_gguf_config(GgufWriter& writer, const ModelConfig& config, const std::string& path);
void set_gguf_generation(GgufWriter& writer, const GenerationDefaults& defaults);

// The tensor "rope_freqs.weight" [rotated dimensions / 2] that stands for llama3's scaling; empty
// where there is none.
std::vector<float> rope_frequency_factors(const ModelConfig& config);

}  // namespace zhiyin
