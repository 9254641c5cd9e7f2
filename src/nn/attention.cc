#include "nn/attention.h"

namespace zhiyin {

SelfAttention::SelfAttention(const ModelConfig& c, const Weights& w, int64_t layer)
    : heads_(c.heads),
      kv_heads_(c.kv_heads),
      head_dim_(c.head_dim),
      layer_(layer),
      window_(!c.sliding_layers.empty() && c.sliding_layers[static_cast<size_t>(layer)]
                  ? c.sliding_window
                  : 0),
      q_(w["q_proj"], c.heads * c.head_dim, c.hidden_size, c.qkv_bias),
      k_(w["k_proj"], c.kv_heads * c.head_dim, c.hidden_size, c.qkv_bias),
      v_(w["v_proj"], c.kv_heads * c.head_dim, c.hidden_size, c.qkv_bias),
      o_(w["o_proj"], c.hidden_size, c.heads * c.head_dim, c.attention_output_bias) {}

Tensor SelfAttention::operator()(const Tensor& x, const Rotation& rotation, const Batch& batch,
                                 KvCache* cache) const {
  const int64_t tokens = x.dim(0);
  // Keys and values stay in the cache: their rounding is seen by every later token.
  const std::vector<Tensor> qkv = project_many(x, {&q_, &k_, &v_}, Rounding::kFine);
  const Tensor q = rope(reshape(qkv[0], {tokens, heads_, head_dim_}), rotation);
  const Tensor k = rope(reshape(qkv[1], {tokens, kv_heads_, head_dim_}), rotation);
  const Tensor v = reshape(qkv[2], {tokens, kv_heads_, head_dim_});
  return o_(reshape(attend(q, k, v, batch, cache), {tokens, heads_ * head_dim_}));
}

Tensor SelfAttention::attend(const Tensor& q, const Tensor& k, const Tensor& v, const Batch& batch,
                             KvCache* cache) const {
  const AttentionOptions options{.scale = 0, .window = window_};
  if (cache == nullptr) return attention(q, k, v, batch.spans, options);
  const int64_t row = kv_heads_ * head_dim_;
  std::vector<CachedSequence> sequences;
  for (const Span& span : batch.spans) {
    q.context().pool().parallel_for(span.count, 32, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        cache->write(layer_, span.sequence, span.past + i, k.data() + (span.begin + i) * row,
                     v.data() + (span.begin + i) * row);
      }
    });
    sequences.push_back(cache->view(layer_, span.sequence));
  }
  return attention_cached(q, cache->type(), kv_heads_, batch.spans, sequences, options);
}

}  // namespace zhiyin
