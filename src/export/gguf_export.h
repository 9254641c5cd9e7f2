// Writing a model as GGUF: an adapter merged into its base, every tensor in the format that a named
// mix gives it. The base is a GGUF, whose metadata is taken over, or a Hugging Face folder, whose
// configuration and tokenizer become metadata as llama.cpp's converter writes them.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "export/layer_views.h"
#include "io/importance.h"
#include "io/model_files.h"
#include "nn/lora_adapter.h"
#include "quant/mix.h"
#include "tensor/context.h"
#include "text/tokenizer_spec.h"

namespace zhiyin {

struct GgufExport {
  const ModelFiles* base = nullptr;
  const LoraAdapter* adapter = nullptr;      // merged: W + scale B A; nullptr: none
  const TokenizerSpec* tokenizer = nullptr;  // of a Hugging Face base; nullptr: it has none
  const Importance* importance = nullptr;    // guides the quantisers; nullptr: all weigh the same
  // What the layers see while the model reads some text. Where given, matrices that the adapter
  // changes are rounded so that their outputs stay (output_rounding.h), those of many layers in
  // memory at once where the file has them in another order than the forward.
  LayerViews* views = nullptr;
  Mix mix = Mix::kQ4_K_M;
  std::string name;                      // general.name; empty: the base's
  std::string chat_template;             // empty: the base's
  std::optional<int32_t> end_of_answer;  // becomes eos_token_id; else the base's stays
  std::optional<bool> add_bos;           // becomes add_bos_token; else the base's stays
  std::function<void(int64_t done, int64_t total)> on_progress;  // bytes of the base
};

struct GgufExportResult {
  int64_t bytes = 0;
  // Tensors taken over byte for byte: those of the wanted format that no adapter touches.
  int64_t copied = 0, packed = 0;
  int64_t refined = 0;  // of those packed: rounded by their outputs
  // Matrices to be quantised for which the importance matrix has no entry.
  std::vector<std::string> without_importance;
};

// Throws kUnsupported where the adapter's modules are not in the base, where a GGUF has no words
// for the base's configuration or tokenizer, and where the importance matrix is of another model.
GgufExportResult write_gguf_model(Context& context, const GgufExport& job, const std::string& path);

// What writing would give, tensor by tensor.
struct TensorPreview {
  std::string name;  // as in the GGUF
  std::vector<int64_t> shape;
  Format from, to;
  int64_t bytes_before = 0, bytes = 0;
  int64_t elements = 0;
  double errors = 0, squares = 0;  // sums of squares: of the differences, of the values
  double largest_error = 0;        // |difference|
};
std::vector<TensorPreview> preview_gguf_model(Context& context, const GgufExport& job);

}  // namespace zhiyin
