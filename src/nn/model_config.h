// What a model's files say about its shape: one neutral struct, filled from a Hugging Face
// config.json or from GGUF metadata (src/io), read by the families (src/models). No file, no JSON
// here. Field names in comments are those of config.json; defaults follow transformers.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace zhiyin {

// Rotary position embedding. Reference: transformers modeling_rope_utils.py.
struct RopeConfig {
  enum class Scaling { kNone, kLinear, kDynamic, kLlama3, kYarn, kLongRope };

  double theta = 10000.0;
  // Elements of a head that are rotated; 0 = the whole head.
  int64_t dimensions = 0;
  Scaling scaling = Scaling::kNone;
  double factor = 1.0;
  // Positions the model was first trained for; 0 = max_positions. llama3, yarn, longrope, dynamic.
  int64_t original_max_positions = 0;
  double low_freq_factor = 1.0, high_freq_factor = 4.0;  // llama3
  double beta_fast = 32.0, beta_slow = 1.0;              // yarn
  // yarn, longrope: factor on cos and sin. Absent: computed from `factor` (and the mscales).
  std::optional<double> attention_factor;
  std::optional<double> mscale, mscale_all_dim;   // yarn as DeepSeek uses it
  bool truncate = true;                           // yarn: whole dimensions as ramp borders
  std::vector<double> short_factor, long_factor;  // longrope, one per rotated pair

  // Pairs are (2i, 2i+1) instead of (i, i + dimensions/2): the rows of q and k as llama.cpp stores
  // them for llama. They stay as they are; attention scores do not change.
  bool adjacent = false;
  // The tensor "rope_freqs.weight" [dimensions/2] divides the frequencies and replaces `scaling`
  // (how GGUF stores llama3 and longrope scaling).
  bool freq_factors_in_tensor = false;
};

struct ModelConfig {
  // As the file names it: "Qwen2ForCausalLM" (Hugging Face) or "qwen2" (GGUF). The registry of
  // families knows both.
  std::string architecture;
  std::string model_type;  // "qwen2"; equals architecture for GGUF

  int64_t vocab_size = 0;
  int64_t hidden_size = 0;
  int64_t layers = 0;    // num_hidden_layers
  int64_t heads = 0;     // num_attention_heads
  int64_t kv_heads = 0;  // num_key_value_heads
  int64_t head_dim = 0;
  int64_t intermediate_size = 0;  // of the feed-forward block; 0 = the family's default
  int64_t max_positions = 0;      // max_position_embeddings
  double norm_eps = 1e-6;         // rms_norm_eps or layer_norm_eps
  std::string hidden_act = "silu";
  bool tie_embeddings = false;  // the output head is the embedding matrix

  bool qkv_bias = false;               // q, k and v projections have a bias
  bool attention_output_bias = false;  // o projection has a bias
  bool mlp_bias = false;

  RopeConfig rope;
  // Rotation of sliding-window layers where it differs (gemma3).
  std::optional<RopeConfig> sliding_rope;

  int64_t sliding_window = 0;        // tokens; 0 = none
  std::vector<bool> sliding_layers;  // one a layer; empty when sliding_window is 0

  std::optional<int64_t> bos_id;
  std::optional<int64_t> pad_id;
  std::vector<int64_t> eos_ids;

  // Every other scalar of config.json (true = 1, false = 0) under its own name, for families that
  // need more: "num_experts", "final_logit_softcapping". GGUF keys are renamed to these.
  std::map<std::string, double, std::less<>> numbers;
  std::map<std::string, std::string, std::less<>> strings;

  double number(std::string_view name, double otherwise) const {
    const auto found = numbers.find(name);
    return found != numbers.end() ? found->second : otherwise;
  }
};

}  // namespace zhiyin
