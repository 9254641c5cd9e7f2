#include "io/tensor_names.h"

#include <algorithm>
#include <span>

#include "base/error.h"

namespace zhiyin {
namespace {

// '#' stands for the number of the layer. Stems without .weight or .bias.
struct NamePair {
  std::string_view gguf, hf;
};

constexpr NamePair kLlamaNames[] = {
    {"token_embd", "model.embed_tokens"},
    {"output_norm", "model.norm"},
    {"output", "lm_head"},
    {"blk.#.attn_norm", "model.layers.#.input_layernorm"},
    {"blk.#.attn_q", "model.layers.#.self_attn.q_proj"},
    {"blk.#.attn_k", "model.layers.#.self_attn.k_proj"},
    {"blk.#.attn_v", "model.layers.#.self_attn.v_proj"},
    {"blk.#.attn_output", "model.layers.#.self_attn.o_proj"},
    {"blk.#.attn_q_norm", "model.layers.#.self_attn.q_norm"},
    {"blk.#.attn_k_norm", "model.layers.#.self_attn.k_norm"},
    {"blk.#.ffn_norm", "model.layers.#.post_attention_layernorm"},
    {"blk.#.ffn_gate", "model.layers.#.mlp.gate_proj"},
    {"blk.#.ffn_up", "model.layers.#.mlp.up_proj"},
    {"blk.#.ffn_down", "model.layers.#.mlp.down_proj"},
};

constexpr NamePair kGpt2Names[] = {
    {"token_embd", "transformer.wte"},
    {"position_embd", "transformer.wpe"},
    {"output_norm", "transformer.ln_f"},
    {"output", "lm_head"},
    {"blk.#.attn_norm", "transformer.h.#.ln_1"},
    {"blk.#.attn_qkv", "transformer.h.#.attn.c_attn"},
    {"blk.#.attn_output", "transformer.h.#.attn.c_proj"},
    {"blk.#.ffn_norm", "transformer.h.#.ln_2"},
    {"blk.#.ffn_up", "transformer.h.#.mlp.c_fc"},
    {"blk.#.ffn_down", "transformer.h.#.mlp.c_proj"},
};

constexpr NamePair kBertNames[] = {
    {"token_embd", "bert.embeddings.word_embeddings"},
    {"position_embd", "bert.embeddings.position_embeddings"},
    {"token_types", "bert.embeddings.token_type_embeddings"},
    {"token_embd_norm", "bert.embeddings.LayerNorm"},
    {"blk.#.attn_q", "bert.encoder.layer.#.attention.self.query"},
    {"blk.#.attn_k", "bert.encoder.layer.#.attention.self.key"},
    {"blk.#.attn_v", "bert.encoder.layer.#.attention.self.value"},
    {"blk.#.attn_output", "bert.encoder.layer.#.attention.output.dense"},
    {"blk.#.attn_output_norm", "bert.encoder.layer.#.attention.output.LayerNorm"},
    {"blk.#.ffn_up", "bert.encoder.layer.#.intermediate.dense"},
    {"blk.#.ffn_down", "bert.encoder.layer.#.output.dense"},
    {"blk.#.layer_output_norm", "bert.encoder.layer.#.output.LayerNorm"},
};

struct Table {
  std::string_view architecture;
  std::span<const NamePair> names;
};
constexpr Table kTables[] = {
    {"llama", kLlamaNames}, {"qwen2", kLlamaNames}, {"qwen3", kLlamaNames},
    {"gpt2", kGpt2Names},   {"bert", kBertNames},
};

std::span<const NamePair> names_of(std::string_view architecture) {
  const auto* table = std::ranges::find(kTables, architecture, &Table::architecture);
  return table != std::end(kTables) ? table->names : std::span<const NamePair>{};
}

// The number that stands where the pattern has '#', "" when it has none; nullopt without a match.
std::optional<std::string_view> match(std::string_view pattern, std::string_view name) {
  const size_t hash = pattern.find('#');
  if (hash == pattern.npos) return pattern == name ? std::optional("") : std::nullopt;
  const std::string_view before = pattern.substr(0, hash), after = pattern.substr(hash + 1);
  if (name.size() <= before.size() + after.size() || !name.starts_with(before) ||
      !name.ends_with(after)) {
    return std::nullopt;
  }
  const std::string_view number =
      name.substr(before.size(), name.size() - before.size() - after.size());
  if (number.find_first_not_of("0123456789") != number.npos) return std::nullopt;
  return number;
}

std::string fill(std::string_view pattern, std::string_view number) {
  const size_t hash = pattern.find('#');
  if (hash == pattern.npos) return std::string(pattern);
  return cat(pattern.substr(0, hash), number, pattern.substr(hash + 1));
}

std::optional<std::string> translate(std::string_view architecture, std::string_view name,
                                     std::string_view NamePair::* from,
                                     std::string_view NamePair::* to) {
  std::string_view stem = name, suffix;
  for (const std::string_view kind : {".weight", ".bias"}) {
    if (!name.ends_with(kind)) continue;
    suffix = kind;
    stem.remove_suffix(kind.size());
  }
  for (const NamePair& pair : names_of(architecture)) {
    if (const auto number = match(pair.*from, stem)) return fill(pair.*to, *number).append(suffix);
  }
  return std::nullopt;
}

std::vector<float> move_rows(const std::vector<float>& values, int64_t cols, int64_t head_dim,
                             bool to_pairs) {
  const int64_t rows = static_cast<int64_t>(values.size()) / cols;
  check(head_dim % 2 == 0 && rows % head_dim == 0, ErrorCode::kFailed, "rope rows: ", rows,
        " rows are not heads of ", head_dim);
  std::vector<float> moved(values.size());
  for (int64_t row = 0; row < rows; ++row) {
    const int64_t source = rope_pair_source(row, head_dim);
    const int64_t from = to_pairs ? source : row, to = to_pairs ? row : source;
    std::copy_n(values.begin() + from * cols, cols, moved.begin() + to * cols);
  }
  return moved;
}

}  // namespace

bool has_tensor_names(std::string_view architecture) { return !names_of(architecture).empty(); }

std::string hf_tensor_name(std::string_view architecture, std::string_view gguf_name) {
  return translate(architecture, gguf_name, &NamePair::gguf, &NamePair::hf)
      .value_or(std::string(gguf_name));
}

std::optional<std::string> gguf_tensor_name(std::string_view architecture,
                                            std::string_view hf_name) {
  return translate(architecture, hf_name, &NamePair::hf, &NamePair::gguf);
}

GgufLayout gguf_layout(std::string_view architecture, std::string_view hf_name) {
  const std::string name = gguf_tensor_name(architecture, hf_name).value_or("");
  const bool is_q = match("blk.#.attn_q.weight", name) || match("blk.#.attn_q.bias", name);
  const bool is_k = match("blk.#.attn_k.weight", name) || match("blk.#.attn_k.bias", name);
  if (architecture == "llama" && (is_q || is_k)) return GgufLayout::kRopePairs;
  if (architecture == "gpt2" && name.starts_with("blk.") && name.ends_with(".weight") &&
      !name.ends_with("_norm.weight")) {
    return GgufLayout::kTransposed;
  }
  return GgufLayout::kSame;
}

std::vector<float> to_rope_pairs(const std::vector<float>& values, int64_t cols, int64_t head_dim) {
  return move_rows(values, cols, head_dim, true);
}

std::vector<float> from_rope_pairs(const std::vector<float>& values, int64_t cols,
                                   int64_t head_dim) {
  return move_rows(values, cols, head_dim, false);
}

}  // namespace zhiyin
