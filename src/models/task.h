// What a model does, seen from above: everything past src/models programs against these interfaces,
// never against a family.
#pragma once

#include <span>
#include <vector>

#include "nn/batch.h"
#include "nn/linear.h"
#include "nn/model_config.h"

namespace zhiyin {

// A decoder that predicts the next token. One forward serves prefill, decode and training. Any
// number of threads may call forward at a time, each with its own cache.
class CausalLm {
 public:
  virtual ~CausalLm() = default;

  const ModelConfig& config() const { return config_; }

  // Hidden states after the final norm, [tokens, width]. The batch must outlive the tape that is
  // open, if one is. With a cache, the keys and values of the
  // batch are added to its sequences, which become that much longer. Throws kFailed on ids outside
  // the vocabulary and Cancelled after Context::cancel().
  virtual Tensor forward(const Batch& batch, const ForwardOptions& options) const = 0;
  // The parts of a forward, for those who look at one block after the other: the hidden states that
  // enter the first block, and what block i makes of those that enter it. Nothing is cached.
  virtual Tensor embed(const Batch& batch) const = 0;
  virtual Tensor block(int64_t i, const Tensor& hidden, const Batch& batch) const = 0;
  // The output matrix [vocabulary, width].
  virtual const Matrix& head() const = 0;
  // [rows, vocabulary]
  Tensor logits(const Tensor& hidden) const { return linear(hidden, head()); }

  virtual KvShape kv_shape() const = 0;
  // Every linear layer of the blocks, for adapters; paths as "model.layers.0.self_attn.q_proj".
  virtual std::vector<Linear*> linears() = 0;
  // Every frozen matrix, the head and the embedding included, each once.
  virtual std::vector<Weight> frozen_matrices() const = 0;

 protected:
  explicit CausalLm(ModelConfig config) : config_(std::move(config)) {}

 private:
  ModelConfig config_;
};

}  // namespace zhiyin
