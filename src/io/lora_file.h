// LoRA adapters on disk: PEFT folders (adapter_config.json + adapter_model.safetensors) and GGUF
// adapters as llama.cpp loads them. docs/formats/lora-adapter.md has the names and keys.
#pragma once

#include <cstdint>
#include <string>

#include "nn/lora_adapter.h"

namespace zhiyin {

// True for a folder with adapter_config.json and for a GGUF whose general.type is "adapter".
bool is_lora_adapter(const std::string& path);

// Either kind. Throws kNotFound without the files, kFailed for a module with one factor missing or
// of a shape that does not fit, kUnsupported for what an adapter can hold beyond LoRA on linear
// layers (DoRA, trained biases, saved modules, alpha patterns). A GGUF adapter of llama has
// rope_pairs set.
LoraAdapter read_lora_adapter(const std::string& path);

// The chat template beside an adapter (chat_template.jinja of a folder, tokenizer.chat_template of
// a GGUF) without reading its weights; "" without one.
std::string adapter_chat_template(const std::string& path);

// Moves the rows of b for q and k so that they fit a model whose RopeConfig::adjacent is `pairs`.
void set_rope_pairs(LoraAdapter& adapter, bool pairs, int64_t head_dim);

// Creates the folder if need be. head_dim is that of the base model.
void write_peft_adapter(const std::string& folder, LoraAdapter adapter, int64_t head_dim);

// `architecture` is that of the base as GGUF names it ("qwen2"). A single alpha is written, so all
// modules of an rsLoRA adapter need the same rank (kUnsupported otherwise).
void write_gguf_adapter(const std::string& path, LoraAdapter adapter,
                        const std::string& architecture, int64_t head_dim);

}  // namespace zhiyin
