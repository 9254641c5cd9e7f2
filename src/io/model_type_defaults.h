// What transformers' config classes, and llama.cpp for GGUF, assume where a file is silent.
// Private to src/io.
#pragma once

#include <cstdint>
#include <string_view>

#include "nn/model_config.h"

namespace zhiyin {

struct ModelTypeDefaults {
  enum class Sliding { kAll, kFromMaxWindowLayers, kAlternate, kFiveOfSix };

  std::string_view type;  // model_type of config.json or general.architecture of a GGUF
  bool tie_embeddings = false;
  int64_t max_positions = 2048;
  int64_t head_dim = 0;  // 0 = hidden_size / heads
  double norm_eps = 1e-6;
  std::string_view hidden_act = "silu";
  double rotary_share = 1.0;  // partial_rotary_factor
  double rope_theta = 10000.0;
  int64_t sliding_window = 0;
  Sliding sliding = Sliding::kAll;  // which layers slide, if any
  bool qkv_bias = false;            // whatever attention_bias says
  bool all_biases = false;
};

// The row for "llama" when the type is unknown: whether zhiyin runs it is the registry's question.
const ModelTypeDefaults& model_type_defaults(std::string_view type);

// Marks the layers that slide, from the defaults of the type and config.sliding_window. 0 <=
// max_window_layers: the first layer that slides in qwen2. Leaves sliding_window 0 if none does.
void mark_sliding_layers(ModelConfig& config, const ModelTypeDefaults& defaults,
                         int64_t max_window_layers);

// Throws kFailed, beginning with `name`, unless every size is positive, credible and fits the
// others. Fills head_dim, kv_heads from hidden_size and heads where they are 0.
void complete_config(ModelConfig& config, std::string_view name);

}  // namespace zhiyin
