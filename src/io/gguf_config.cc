#include "io/gguf_config.h"

#include <algorithm>
#include <cmath>
#include <initializer_list>

#include "base/utf8.h"
#include "io/model_type_defaults.h"

namespace zhiyin {
namespace {

using Scaling = RopeConfig::Scaling;

// Architectures whose q and k rows llama.cpp keeps in adjacent pairs (LLAMA_ROPE_TYPE_NORM).
constexpr std::string_view kAdjacentRope[] = {
    "llama",     "baichuan", "internlm2", "minicpm",  "xverse",  "orion",      "olmo",
    "arctic",    "deepseek", "deepseek2", "chatglm",  "glm4",    "granite",    "granitemoe",
    "command-r", "cohere2",  "mistral3",  "ernie4_5", "smollm3", "bailingmoe",
};

// Scalars of GGUF that families look up under config.json's names.
constexpr std::pair<std::string_view, std::string_view> kExtraNumbers[] = {
    {"expert_count", "num_experts"},
    {"expert_used_count", "num_experts_per_tok"},
    {"expert_feed_forward_length", "moe_intermediate_size"},
    {"expert_shared_feed_forward_length", "shared_expert_intermediate_size"},
    {"attn_logit_softcapping", "attn_logit_softcapping"},
    {"final_logit_softcapping", "final_logit_softcapping"},
    {"pooling_type", "pooling_type"},
};

// Metadata under "<architecture>.".
class Keys {
 public:
  Keys(const GgufMetadata& metadata, const std::string& architecture)
      : metadata_(metadata), prefix_(architecture + ".") {}

  std::string key(std::string_view name) const { return cat(prefix_, name); }
  std::optional<int64_t> find_int(std::string_view name) const {
    return metadata_.find_i64(key(name));
  }
  std::optional<double> find_double(std::string_view name) const {
    return metadata_.find_f64(key(name));
  }
  std::optional<std::string_view> find_string(std::string_view name) const {
    return metadata_.find_string(key(name));
  }
  int64_t required_int(std::string_view name) const {
    const auto value = find_int(name);
    check(value.has_value(), ErrorCode::kFailed, metadata_.path(), ": has no key ", key(name));
    return *value;
  }

 private:
  const GgufMetadata& metadata_;
  std::string prefix_;
};

std::vector<double> read_factors(const GgufFile& file, std::string_view name) {
  const TensorEntry* tensor = find_tensor(file.tensors(), name);
  if (tensor == nullptr) return {};
  const std::vector<float> values = to_floats(*tensor);
  return {values.begin(), values.end()};
}

Scaling scaling_of(std::string_view type, const std::string& path, const std::string& key) {
  if (type == "none") return Scaling::kNone;
  if (type == "linear") return Scaling::kLinear;
  if (type == "yarn") return Scaling::kYarn;
  if (type == "longrope") return Scaling::kLongRope;
  fail(ErrorCode::kUnsupported, path, ": key ", key, " is ", printable(type),
       "; known are none, linear, yarn, longrope");
}

RopeConfig read_rope(const GgufFile& file, const Keys& keys, const std::string& architecture) {
  RopeConfig rope;
  rope.adjacent = std::ranges::count(kAdjacentRope, architecture) > 0;
  rope.theta =
      keys.find_double("rope.freq_base").value_or(model_type_defaults(architecture).rope_theta);
  rope.dimensions = keys.find_int("rope.dimension_count").value_or(0);
  rope.freq_factors_in_tensor = find_tensor(file.tensors(), "rope_freqs.weight") != nullptr;

  if (const auto scale = keys.find_double("rope.scale_linear"); scale && *scale != 1) {
    rope.scaling = Scaling::kLinear;  // what files had before rope.scaling.*
    rope.factor = *scale;
  }
  if (const auto type = keys.find_string("rope.scaling.type")) {
    rope.scaling = scaling_of(*type, file.metadata().path(), keys.key("rope.scaling.type"));
    if (const auto factor = keys.find_double("rope.scaling.factor")) rope.factor = *factor;
  }
  rope.original_max_positions = keys.find_int("rope.scaling.original_context_length").value_or(0);
  rope.beta_fast = keys.find_double("rope.scaling.yarn_beta_fast").value_or(rope.beta_fast);
  rope.beta_slow = keys.find_double("rope.scaling.yarn_beta_slow").value_or(rope.beta_slow);
  const auto attention_factor = keys.find_double("rope.scaling.attn_factor");
  if (rope.scaling == Scaling::kYarn && attention_factor) {
    // llama.cpp multiplies the key by what yarn itself computes (ggml_rope_yarn).
    rope.attention_factor = *attention_factor * (1.0 + 0.1 * std::log(rope.factor));
  }
  if (rope.scaling == Scaling::kLongRope) {
    rope.attention_factor = attention_factor;
    rope.short_factor = read_factors(file, "rope_factors_short.weight");
    rope.long_factor = read_factors(file, "rope_factors_long.weight");
  }
  return rope;
}

}  // namespace

ModelConfig config_from_gguf(const GgufFile& file) {
  const GgufMetadata& metadata = file.metadata();
  ModelConfig config;
  config.architecture = config.model_type = file.architecture();
  check(!config.architecture.empty(), ErrorCode::kFailed, metadata.path(),
        ": has no key general.architecture");
  const Keys keys(metadata, config.architecture);
  const ModelTypeDefaults& defaults = model_type_defaults(config.architecture);
  const auto tensor = [&](std::string_view name) { return find_tensor(file.tensors(), name); };

  config.hidden_size = keys.required_int("embedding_length");
  config.layers = keys.required_int("block_count");
  config.heads = keys.required_int("attention.head_count");
  config.kv_heads = keys.find_int("attention.head_count_kv").value_or(config.heads);
  config.head_dim = keys.find_int("attention.key_length").value_or(0);
  config.intermediate_size = keys.find_int("feed_forward_length").value_or(0);
  config.max_positions = keys.find_int("context_length").value_or(defaults.max_positions);
  config.norm_eps = defaults.norm_eps;
  for (const std::string_view name :
       {"attention.layer_norm_rms_epsilon", "attention.layer_norm_epsilon"}) {
    if (const auto eps = keys.find_double(name)) config.norm_eps = *eps;
  }
  config.hidden_act = defaults.hidden_act;
  if (const TensorEntry* embedding = tensor("token_embd.weight");
      embedding != nullptr && embedding->shape.size() == 2) {
    config.vocab_size = embedding->shape[0];
  } else {
    const GgufField* tokens = metadata.find("tokenizer.ggml.tokens");
    config.vocab_size = keys.find_int("vocab_size")
                            .value_or(tokens != nullptr ? static_cast<int64_t>(tokens->count) : 0);
  }
  config.tie_embeddings = tensor("output.weight") == nullptr;

  const bool has_fused = tensor("blk.0.attn_qkv.bias") != nullptr;
  config.qkv_bias = has_fused || tensor("blk.0.attn_q.bias") != nullptr;
  config.attention_output_bias = tensor("blk.0.attn_output.bias") != nullptr;
  config.mlp_bias = tensor("blk.0.ffn_up.bias") != nullptr;

  config.rope = read_rope(file, keys, config.architecture);
  config.sliding_window = keys.find_int("attention.sliding_window").value_or(0);
  complete_config(config, metadata.path());
  if (defaults.sliding == ModelTypeDefaults::Sliding::kFromMaxWindowLayers) {
    config.sliding_window = 0;  // llama.cpp runs qwen2 and qwen3 without it
  }
  mark_sliding_layers(config, defaults, 0);

  config.bos_id = metadata.find_i64("tokenizer.ggml.bos_token_id");
  config.pad_id = metadata.find_i64("tokenizer.ggml.padding_token_id");
  config.eos_ids = generation_from_gguf(metadata).eos_ids;
  for (const auto& [gguf_name, name] : kExtraNumbers) {
    if (const auto value = keys.find_double(gguf_name)) config.numbers.emplace(name, *value);
  }
  return config;
}

GenerationDefaults generation_from_gguf(const GgufMetadata& metadata) {
  GenerationDefaults result;
  const std::string prefix = "general.sampling.";
  const bool any = std::ranges::any_of(
      metadata.fields(), [&](const GgufField& field) { return field.key.starts_with(prefix); });
  if (any) result.origin = prefix + "*";
  const auto number = [&](const char* name) { return metadata.find_f64(prefix + name); };
  const auto integer = [&](const char* name) { return metadata.find_i64(prefix + name); };
  if (const auto order = metadata.find_string(prefix + "sequence")) result.sequence = *order;
  result.top_k = integer("top_k");
  result.top_p = number("top_p");
  result.min_p = number("min_p");
  result.xtc_probability = number("xtc_probability");
  result.xtc_threshold = number("xtc_threshold");
  result.temperature = number("temp");
  result.penalty_last_n = integer("penalty_last_n");
  result.repetition_penalty = number("penalty_repeat");
  result.mirostat = integer("mirostat");
  result.mirostat_tau = number("mirostat_tau");
  result.mirostat_eta = number("mirostat_eta");

  result.bos_id = metadata.find_i64("tokenizer.ggml.bos_token_id");
  result.pad_id = metadata.find_i64("tokenizer.ggml.padding_token_id");
  for (const std::string_view name : {"eos", "eot", "eom"}) {
    const auto id = metadata.find_i64(cat("tokenizer.ggml.", name, "_token_id"));
    if (id && std::ranges::count(result.eos_ids, *id) == 0) result.eos_ids.push_back(*id);
  }
  return result;
}

}  // namespace zhiyin
