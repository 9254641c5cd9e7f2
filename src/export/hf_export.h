// Writing a model as a Hugging Face folder that transformers loads: an adapter merged into its
// base, floats in safetensors (sharded above a size, with an index), configuration and tokenizer.
// The base is such a folder, whose files are taken over, or a GGUF, whose metadata becomes files.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "io/model_files.h"
#include "nn/lora_adapter.h"
#include "tensor/context.h"
#include "text/tokenizer_spec.h"

namespace zhiyin {

struct HfExport {
  const ModelFiles* base = nullptr;
  const LoraAdapter* adapter = nullptr;      // merged: W + scale B A; nullptr: none
  const TokenizerSpec* tokenizer = nullptr;  // of a GGUF base; nullptr: it has none
  // F32, F16 or BF16 for every tensor. Absent: each as in the base, F16 where the base is a GGUF.
  std::optional<Format> format;
  std::string chat_template;             // empty: the base's
  std::optional<int32_t> end_of_answer;  // becomes the first eos_token_id
  int64_t shard_bytes = 5'000'000'000;
  std::function<void(int64_t done, int64_t total)> on_progress;  // bytes of the base
};

struct HfExportResult {
  int64_t bytes = 0;   // of the tensors
  int64_t shards = 0;  // 1: model.safetensors
  int64_t copied = 0, converted = 0;
};

// Makes the folder if need be; config.json comes last, so that a folder left half-way is no model.
// Throws kUsage where the folder holds a model already, kUnsupported where the adapter's modules
// are not in the base or the base has no Hugging Face form, kFailed for a weight beyond F16.
HfExportResult write_hf_model(Context& context, const HfExport& job, const std::string& folder);

}  // namespace zhiyin
