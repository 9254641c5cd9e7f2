// The gated feed-forward block: down(silu(gate(x)) * up(x)) (Shazeer 2020).
#pragma once

#include "nn/linear.h"
#include "nn/model_config.h"

namespace zhiyin {

class GatedMlp {
 public:
  // Reads gate_proj, up_proj, down_proj of `w`.
  GatedMlp(const ModelConfig& c, const Weights& w)
      : gate_(w["gate_proj"], c.intermediate_size, c.hidden_size, c.mlp_bias),
        up_(w["up_proj"], c.intermediate_size, c.hidden_size, c.mlp_bias),
        down_(w["down_proj"], c.hidden_size, c.intermediate_size, c.mlp_bias) {}

  Tensor operator()(const Tensor& x) const {
    if (gate_.plain() && up_.plain() && down_.plain() &&
        fuses_gated_mlp(x, gate_.matrix(), up_.matrix(), down_.matrix())) {
      return gated_mlp(x, gate_.matrix(), up_.matrix(), down_.matrix());
    }
    if (gate_.fusable() && up_.fusable() && down_.fusable()) {
      const GatedMlpOperands operands{&gate_.matrix(),  &up_.matrix(),  &down_.matrix(),
                                      gate_.low_rank(), up_.low_rank(), down_.low_rank()};
      if (fuses_adapted_mlp(x, operands)) return adapted_mlp(x, operands);
    }
    const std::vector<Tensor> both = project_many(x, {&gate_, &up_});
    return down_(swiglu(both[0], both[1]));
  }

  std::vector<Linear*> linears() { return {&gate_, &up_, &down_}; }

 private:
  Linear gate_, up_, down_;
};

}  // namespace zhiyin
