// Rotary position embedding and its scalings: the frequencies of a model, and the cosines and sines
// of a batch's positions, computed once a forward pass and used by all layers.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "nn/model_config.h"
#include "ops/ops.h"

namespace zhiyin {

// Frequencies and factor as transformers' modeling_rope_utils computes them: plain and linear
// (Su et al. 2021), llama3 (Llama 3.1), yarn (Peng et al. 2023).
class RotaryEmbedding {
 public:
  RotaryEmbedding() = default;
  // freq_factors [dimensions / 2] divide the frequencies; undefined: none. Throws kUnsupported on a
  // scaling that is not built.
  RotaryEmbedding(const RopeConfig& config, int64_t head_dim, int64_t max_positions,
                  const Tensor& freq_factors);

  Rotation at(Context& context, std::span<const int64_t> positions) const;
  std::span<const float> frequencies() const { return frequencies_; }

 private:
  std::vector<float> frequencies_;
  float attention_factor_ = 1;
  bool adjacent_ = false;
};

}  // namespace zhiyin
