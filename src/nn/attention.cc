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
  return o_(reshape(attend(q, k, v, rotation, batch, cache), {tokens, heads_ * head_dim_}));
}

// Keys less the bias of k in the channels that positions turn least: the slower half of the pairs,
// and those that are not turned at all.
Tensor SelfAttention::without_still_bias(const Tensor& k, const Rotation& rotation) const {
  if (!k_.bias().defined()) return k;
  const int64_t pairs = rotation.cosine.dim(1);
  std::vector<float> shift(static_cast<size_t>(kv_heads_ * head_dim_));
  for (size_t i = 0; i < shift.size(); ++i) {
    const int64_t channel = static_cast<int64_t>(i) % head_dim_;
    const int64_t pair = rotation.adjacent ? channel / 2 : channel % pairs;
    const bool turned = channel < 2 * pairs;
    if (!turned || 2 * pair >= pairs) shift[i] = -k_.bias().data()[i];
  }
  Tensor shifted = k.contiguous_copy();
  const auto row = static_cast<int64_t>(shift.size());
  for (int64_t t = 0; t < k.dim(0); ++t) {
    k.context().kernels().axpy(1.0f, shift.data(), shifted.data() + t * row, row);
  }
  return shifted;
}

Tensor SelfAttention::attend(Tensor q, Tensor k, const Tensor& v, const Rotation& rotation,
                             const Batch& batch, KvCache* cache) const {
  const AttentionOptions options{.scale = 0, .window = window_};
  if (cache == nullptr) return attention(q, k, v, batch.spans, options);
  // Some channels of keys are tens of times as large as others (those of Qwen2 have large biases)
  // and would take the whole range of 8 bits. Attention does not change when all keys are shifted
  // by the same vector, which is the same for all scores of a query, nor when both sides are
  // turned.
  if (cache->type() == KvType::kQ8_0) {
    q = hadamard(q);
    k = hadamard(without_still_bias(k, rotation));
  }
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
