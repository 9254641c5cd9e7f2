// Writing a model as GGUF: an adapter merged into its base, every tensor in the format that a named
// mix gives it, the base's metadata with another name and chat template.
#pragma once

#include <functional>
#include <string>

#include "io/model_files.h"
#include "nn/lora_adapter.h"
#include "quant/mix.h"
#include "tensor/context.h"

namespace zhiyin {

struct GgufExport {
  const ModelFiles* base = nullptr;      // a GGUF
  const LoraAdapter* adapter = nullptr;  // merged: W + scale B A; nullptr: none
  Mix mix = Mix::kQ4_K_M;
  std::string name;                                              // general.name; empty: the base's
  std::string chat_template;                                     // empty: the base's
  std::function<void(int64_t done, int64_t total)> on_progress;  // bytes of the base
};

struct GgufExportResult {
  int64_t bytes = 0;
  // Tensors taken over byte for byte: those of the wanted format that no adapter touches.
  int64_t copied = 0, packed = 0;
};

// Throws kUnsupported where the base is no GGUF or where the adapter's modules are not in it.
GgufExportResult write_gguf_model(Context& context, const GgufExport& job, const std::string& path);

}  // namespace zhiyin
