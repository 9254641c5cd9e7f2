// The decoder that llama and its relatives share: pre-norm blocks of grouped-query attention with
// rotary positions and a gated feed-forward (Touvron et al. 2023).
#pragma once

#include "models/task.h"
#include "nn/attention.h"
#include "nn/mlp.h"
#include "nn/rotary.h"

namespace zhiyin {

class Decoder : public CausalLm {
 public:
  Decoder(const ModelConfig& config, const Weights& weights);

  Tensor forward(const Batch& batch, const ForwardOptions& options) const override;
  Tensor embed(const Batch& batch) const override;
  Tensor block(int64_t i, const Tensor& hidden, const Batch& batch) const override;
  const Matrix& head() const override { return tied_ ? embedding_ : head_; }
  KvShape kv_shape() const override;
  std::vector<Linear*> linears() override;
  std::vector<Weight> frozen_matrices() const override;

 private:
  struct Block {
    Tensor attention_norm, mlp_norm;
    SelfAttention attention;
    GatedMlp mlp;
    float epsilon;

    Block(const ModelConfig& config, const Weights& w, int64_t layer);
    Tensor operator()(const Tensor& x, const Rotation& rotation, const Batch& batch,
                      KvCache* cache) const;
  };

  bool tied_;
  Matrix embedding_, head_;
  std::vector<Block> blocks_;
  Tensor norm_;
  RotaryEmbedding rotary_;
};

}  // namespace zhiyin
