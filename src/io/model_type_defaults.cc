#include "io/model_type_defaults.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"

namespace zhiyin {
namespace {

using Sliding = ModelTypeDefaults::Sliding;

constexpr ModelTypeDefaults kDefaults[] = {
    {.type = "llama"},
    {.type = "qwen2",
     .max_positions = 32768,
     .sliding_window = 4096,
     .sliding = Sliding::kFromMaxWindowLayers,
     .qkv_bias = true},
    {.type = "qwen2_moe",
     .max_positions = 32768,
     .sliding_window = 4096,
     .sliding = Sliding::kFromMaxWindowLayers,
     .qkv_bias = true},
    {.type = "qwen3",
     .max_positions = 32768,
     .head_dim = 128,
     .sliding_window = 4096,
     .sliding = Sliding::kFromMaxWindowLayers},
    {.type = "qwen3_moe", .max_positions = 32768, .sliding = Sliding::kFromMaxWindowLayers},
    {.type = "mistral", .max_positions = 131072, .sliding_window = 4096},
    {.type = "mixtral", .max_positions = 131072, .norm_eps = 1e-5, .rope_theta = 1e6},
    {.type = "phi3", .max_positions = 4096, .norm_eps = 1e-5},
    {.type = "gemma2",
     .tie_embeddings = true,
     .max_positions = 8192,
     .head_dim = 256,
     .hidden_act = "gelu_pytorch_tanh",
     .sliding_window = 4096,
     .sliding = Sliding::kAlternate},
    {.type = "gemma3_text",
     .tie_embeddings = true,
     .max_positions = 131072,
     .head_dim = 256,
     .hidden_act = "gelu_pytorch_tanh",
     .rope_theta = 1e6,
     .sliding_window = 4096,
     .sliding = Sliding::kFiveOfSix},
    {.type = "glm",
     .max_positions = 131072,
     .head_dim = 128,
     .norm_eps = 1.5625e-07,
     .rotary_share = 0.5},
    {.type = "glm4",
     .max_positions = 131072,
     .head_dim = 128,
     .norm_eps = 1.5625e-07,
     .rotary_share = 0.5},
    {.type = "gpt2",
     .tie_embeddings = true,
     .max_positions = 1024,
     .norm_eps = 1e-5,
     .hidden_act = "gelu_new",
     .all_biases = true},
    {.type = "openai-gpt",
     .tie_embeddings = true,
     .max_positions = 512,
     .norm_eps = 1e-5,
     .hidden_act = "gelu",
     .all_biases = true},
    {.type = "bert",
     .tie_embeddings = true,
     .max_positions = 512,
     .norm_eps = 1e-12,
     .hidden_act = "gelu",
     .all_biases = true},
};

// Generous, yet small enough that no product of them overflows.
struct Limit {
  const char* name;
  int64_t ModelConfig::* field;
  int64_t least, most;
};
constexpr Limit kLimits[] = {
    {"vocab_size", &ModelConfig::vocab_size, 1, 1 << 28},
    {"hidden_size", &ModelConfig::hidden_size, 1, 1 << 20},
    {"number of layers", &ModelConfig::layers, 1, 1 << 14},
    {"number of attention heads", &ModelConfig::heads, 1, 1 << 16},
    {"number of key and value heads", &ModelConfig::kv_heads, 1, 1 << 16},
    {"head_dim", &ModelConfig::head_dim, 1, 1 << 16},
    {"intermediate_size", &ModelConfig::intermediate_size, 0, 1 << 24},
    {"number of positions", &ModelConfig::max_positions, 1, int64_t{1} << 40},
    {"sliding_window", &ModelConfig::sliding_window, 0, int64_t{1} << 40},
};

void check_rope(const RopeConfig& rope, const ModelConfig& config, std::string_view name) {
  check(std::isfinite(rope.theta) && rope.theta > 0, ErrorCode::kFailed, name, ": rope theta is ",
        rope.theta);
  check(std::isfinite(rope.factor) && rope.factor > 0, ErrorCode::kFailed, name,
        ": rope factor is ", rope.factor);
  check(rope.dimensions >= 0 && rope.dimensions <= config.head_dim && rope.dimensions % 2 == 0,
        ErrorCode::kFailed, name, ": rope rotates ", rope.dimensions, " of ", config.head_dim,
        " elements of a head");
  check(rope.original_max_positions >= 0, ErrorCode::kFailed, name,
        ": original_max_position_embeddings is ", rope.original_max_positions);
}

}  // namespace

const ModelTypeDefaults& model_type_defaults(std::string_view type) {
  if (type == "gemma3") type = "gemma3_text";  // GGUF's name for it
  if (type == "qwen2moe") type = "qwen2_moe";
  if (type == "qwen3moe") type = "qwen3_moe";
  const auto* found = std::ranges::find(kDefaults, type, &ModelTypeDefaults::type);
  return found != std::end(kDefaults) ? *found : kDefaults[0];
}

void mark_sliding_layers(ModelConfig& config, const ModelTypeDefaults& defaults,
                         int64_t max_window_layers) {
  config.sliding_layers.clear();
  if (config.sliding_window <= 0) return;
  bool any = false;
  for (int64_t i = 0; i < config.layers; ++i) {
    bool slides = true;
    switch (defaults.sliding) {
      case Sliding::kAll:
        break;
      case Sliding::kFromMaxWindowLayers:
        slides = i >= max_window_layers;
        break;
      case Sliding::kAlternate:
        slides = i % 2 == 0;
        break;
      case Sliding::kFiveOfSix:
        slides = (i + 1) % 6 != 0;
        break;
    }
    config.sliding_layers.push_back(slides);
    any = any || slides;
  }
  if (!any) {
    config.sliding_window = 0;
    config.sliding_layers.clear();
  }
}

void complete_config(ModelConfig& config, std::string_view name) {
  if (config.kv_heads == 0) config.kv_heads = config.heads;
  if (config.head_dim == 0 && config.heads > 0) {
    check(config.hidden_size % config.heads == 0, ErrorCode::kFailed, name, ": hidden_size ",
          config.hidden_size, " is no multiple of the ", config.heads,
          " attention heads and there is no head_dim");
    config.head_dim = config.hidden_size / config.heads;
  }
  for (const Limit& limit : kLimits) {
    const int64_t value = config.*limit.field;
    check(value >= limit.least && value <= limit.most, ErrorCode::kFailed, name, ": ", limit.name,
          " is ", value, ", expected ", limit.least, " to ", limit.most);
  }
  check(config.heads % config.kv_heads == 0, ErrorCode::kFailed, name, ": ", config.heads,
        " attention heads are no multiple of ", config.kv_heads, " key and value heads");
  check(std::isfinite(config.norm_eps) && config.norm_eps >= 0, ErrorCode::kFailed, name,
        ": norm epsilon is ", config.norm_eps);
  check_rope(config.rope, config, name);
  if (config.sliding_rope) check_rope(*config.sliding_rope, config, name);
}

}  // namespace zhiyin
