#include "models/decoder.h"

#include "base/error.h"

namespace zhiyin {

Decoder::Block::Block(const ModelConfig& c, const Weights& w, int64_t layer)
    : attention_norm(w["input_layernorm"].vector("weight", c.hidden_size)),
      mlp_norm(w["post_attention_layernorm"].vector("weight", c.hidden_size)),
      attention(c, w["self_attn"], layer),
      mlp(c, w["mlp"]),
      epsilon(static_cast<float>(c.norm_eps)) {}

Tensor Decoder::Block::operator()(const Tensor& x, const Rotation& rotation, const Batch& batch,
                                  KvCache* cache) const {
  const Tensor h = add(x, attention(rms_norm(x, attention_norm, epsilon), rotation, batch, cache));
  return add(h, mlp(rms_norm(h, mlp_norm, epsilon)));
}

Decoder::Decoder(const ModelConfig& c, const Weights& w)
    : CausalLm(c),
      tied_(c.tie_embeddings),
      embedding_(w["model.embed_tokens"].matrix("weight", c.vocab_size, c.hidden_size)) {
  if (!tied_) head_ = w["lm_head"].matrix("weight", c.vocab_size, c.hidden_size);
  for (int64_t i = 0; i < c.layers; ++i) blocks_.emplace_back(c, w["model.layers"][cat(i)], i);
  norm_ = w["model.norm"].vector("weight", c.hidden_size);
  Tensor freq_factors;
  if (c.rope.freq_factors_in_tensor) {
    const int64_t dimensions = c.rope.dimensions > 0 ? c.rope.dimensions : c.head_dim;
    freq_factors = w.vector("rope_freqs.weight", dimensions / 2);
  }
  rotary_ = RotaryEmbedding(c.rope, c.head_dim, c.max_positions, freq_factors);
}

Tensor Decoder::forward(const Batch& batch, const ForwardOptions& options) const {
  Context& context = norm_.context();
  KvCache* const cache = options.cache;
  if (cache != nullptr) {
    for (const Span& span : batch.spans) cache->reserve(span.sequence, span.count);
  }
  Tensor h = embed(batch);
  const Rotation rotation = rotary_.at(context, batch.positions());
  for (size_t i = 0; i < blocks_.size(); ++i) {
    if (context.cancelled()) throw Cancelled{};
    if (options.on_hidden) options.on_hidden(static_cast<int64_t>(i), h);
    const auto block = [&block = blocks_[i], rotation, &batch, cache](const Tensor& x) {
      return block(x, rotation, batch, cache);
    };
    h = options.keep_activations ? block(h) : remat(h, block);
  }
  h = rms_norm(h, norm_, static_cast<float>(config().norm_eps));
  if (options.on_hidden) options.on_hidden(static_cast<int64_t>(blocks_.size()), h);
  if (cache != nullptr) {
    for (const Span& span : batch.spans) cache->advance(span.sequence, span.count);
  }
  return h;
}

Tensor Decoder::embed(const Batch& batch) const {
  return embedding(norm_.context(), batch.ids, embedding_);
}

Tensor Decoder::block(int64_t i, const Tensor& hidden, const Batch& batch) const {
  const Rotation rotation = rotary_.at(norm_.context(), batch.positions());
  return blocks_[static_cast<size_t>(i)](hidden, rotation, batch, nullptr);
}

KvShape Decoder::kv_shape() const {
  return {config().layers, config().kv_heads, config().head_dim};
}

std::vector<Linear*> Decoder::linears() {
  std::vector<Linear*> all;
  for (Block& block : blocks_) {
    for (Linear* linear : block.attention.linears()) all.push_back(linear);
    for (Linear* linear : block.mlp.linears()) all.push_back(linear);
  }
  return all;
}

std::vector<Weight> Decoder::frozen_matrices() const {
  std::vector<Weight> all;
  for (const Matrix* matrix : {&embedding_, &head_}) {
    if (matrix->defined() && matrix->frozen()) all.push_back(matrix->weight());
  }
  for (Linear* linear : const_cast<Decoder*>(this)->linears()) {
    if (linear->matrix().frozen()) all.push_back(linear->matrix().weight());
  }
  return all;
}

}  // namespace zhiyin
