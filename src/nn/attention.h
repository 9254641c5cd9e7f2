// Grouped-query self-attention with rotary positions (Ainslie et al. 2023).
#pragma once

#include "nn/batch.h"
#include "nn/linear.h"
#include "nn/model_config.h"

namespace zhiyin {

class SelfAttention {
 public:
  // Reads q_proj, k_proj, v_proj, o_proj of `w`; layer is its place in the cache.
  SelfAttention(const ModelConfig& config, const Weights& w, int64_t layer);

  // x [T, width] -> [T, width]
  Tensor operator()(const Tensor& x, const Rotation& rotation, const Batch& batch,
                    KvCache* cache) const;

  std::vector<Linear*> linears() { return {&q_, &k_, &v_, &o_}; }

 private:
  Tensor without_still_bias(const Tensor& k, const Rotation& rotation) const;
  Tensor attend(Tensor q, Tensor k, const Tensor& v, const Rotation& rotation, const Batch& batch,
                KvCache* cache) const;

  int64_t heads_, kv_heads_, head_dim_, layer_, window_;
  Linear q_, k_, v_, o_;
};

}  // namespace zhiyin
