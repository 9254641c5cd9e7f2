#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "io/gguf_config.h"
#include "nn/rotary.h"

namespace zhiyin {
namespace {

using Scaling = RopeConfig::Scaling;

struct ArchitecturePair {
  std::string_view hugging_face, gguf;
};
constexpr ArchitecturePair kArchitectures[] = {
    {"LlamaForCausalLM", "llama"},
    {"Qwen2ForCausalLM", "qwen2"},
};

void set_rope(GgufWriter& writer, const ModelConfig& config, const std::string& prefix) {
  const RopeConfig& rope = config.rope;
  const int64_t dimensions = rope.dimensions > 0 ? rope.dimensions : config.head_dim;
  writer.set(prefix + "rope.dimension_count", static_cast<uint32_t>(dimensions));
  writer.set(prefix + "rope.freq_base", static_cast<float>(rope.theta));
  const bool linear = rope.scaling == Scaling::kLinear, yarn = rope.scaling == Scaling::kYarn;
  if (!linear && !yarn) return;  // llama3's is in a tensor; dynamic begins past the context
  writer.set(prefix + "rope.scaling.type", linear ? "linear" : "yarn");
  writer.set(prefix + "rope.scaling.factor", static_cast<float>(rope.factor));
  if (!yarn) return;
  const int64_t original =
      rope.original_max_positions > 0 ? rope.original_max_positions : config.max_positions;
  writer.set(prefix + "rope.scaling.original_context_length", static_cast<uint32_t>(original));
  writer.set(prefix + "rope.scaling.yarn_beta_fast", static_cast<float>(rope.beta_fast));
  writer.set(prefix + "rope.scaling.yarn_beta_slow", static_cast<float>(rope.beta_slow));
  if (rope.attention_factor) {
    // llama.cpp multiplies the key by what yarn itself computes.
    writer.set(prefix + "rope.scaling.attn_factor",
               static_cast<float>(*rope.attention_factor / (1.0 + 0.1 * std::log(rope.factor))));
  }
}

void refuse_what_a_gguf_cannot_say(const ModelConfig& config, const std::string& path) {
  check(config.rope.scaling != Scaling::kLongRope, ErrorCode::kUnsupported, path,
        ": longrope scaling cannot be written into a GGUF yet");
  check(!(config.rope.mscale && config.rope.mscale_all_dim), ErrorCode::kUnsupported, path,
        ": yarn with mscale and mscale_all_dim cannot be written into a GGUF yet");
  check(config.sliding_window == 0, ErrorCode::kUnsupported, path, ": the sliding window of ",
        config.sliding_window, " tokens is not known to llama.cpp for this architecture");
  check(config.hidden_act == "silu", ErrorCode::kUnsupported, path, ": the activation ",
        config.hidden_act, " is not known to llama.cpp for this architecture; silu is");
}

}  // namespace

std::string gguf_architecture(const ModelConfig& config) {
  std::vector<std::string_view> known;
  for (const auto& [hugging_face, gguf] : kArchitectures) {
    if (config.architecture == hugging_face || config.architecture == gguf) {
      return std::string(gguf);
    }
    known.push_back(hugging_face);
  }
  fail(ErrorCode::kUnsupported, "the architecture ", config.architecture,
       " cannot be written as GGUF; those that can are ", join(known));
}

std::string hf_architecture(const ModelConfig& config) {
  std::vector<std::string_view> known;
  for (const auto& [hugging_face, gguf] : kArchitectures) {
    if (config.architecture == hugging_face || config.architecture == gguf) {
      return std::string(hugging_face);
    }
    known.push_back(gguf);
  }
  fail(ErrorCode::kUnsupported, "the architecture ", config.architecture,
       " cannot be written as a Hugging Face folder; those that can are ", join(known));
}

void set_gguf_config(GgufWriter& writer, const ModelConfig& config, const std::string& path) {
  refuse_what_a_gguf_cannot_say(config, path);
  const std::string architecture = gguf_architecture(config);
  const std::string prefix = architecture + ".";
  writer.set("general.architecture", architecture);
  writer.set("general.type", "model");
  const auto set = [&](const char* name, int64_t value) {
    writer.set(prefix + name, static_cast<uint32_t>(value));
  };
  set("block_count", config.layers);
  set("context_length", config.max_positions);
  set("embedding_length", config.hidden_size);
  set("feed_forward_length", config.intermediate_size);
  set("attention.head_count", config.heads);
  set("attention.head_count_kv", config.kv_heads);
  if (config.head_dim * config.heads != config.hidden_size) {
    set("attention.key_length", config.head_dim);
    set("attention.value_length", config.head_dim);
  }
  set("vocab_size", config.vocab_size);
  writer.set(prefix + "attention.layer_norm_rms_epsilon", static_cast<float>(config.norm_eps));
  set_rope(writer, config, prefix);
}

std::vector<float> rope_frequency_factors(const ModelConfig& config) {
  if (config.rope.scaling != Scaling::kLlama3) return {};
  RopeConfig plain = config.rope;
  plain.scaling = Scaling::kNone;
  const RotaryEmbedding unscaled(plain, config.head_dim, config.max_positions, {});
  const RotaryEmbedding scaled(config.rope, config.head_dim, config.max_positions, {});
  std::vector<float> factors(unscaled.frequencies().begin(), unscaled.frequencies().end());
  for (size_t i = 0; i < factors.size(); ++i) factors[i] /= scaled.frequencies()[i];
  return factors;
}

void set_gguf_generation(GgufWriter& writer, const GenerationDefaults& defaults) {
  const std::string prefix = "general.sampling.";
  const auto real = [&](const char* name, const std::optional<double>& value) {
    if (value) writer.set(prefix + name, static_cast<float>(*value));
  };
  // Greedy decoding is temperature 0 to llama.cpp.
  real("temp", defaults.do_sample == false ? std::optional<double>(0.0) : defaults.temperature);
  real("top_p", defaults.top_p);
  real("min_p", defaults.min_p);
  real("penalty_repeat", defaults.repetition_penalty);
  if (defaults.top_k) writer.set(prefix + "top_k", static_cast<int32_t>(*defaults.top_k));
}

}  // namespace zhiyin
