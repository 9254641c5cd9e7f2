// What the layers of a model see, in the tuned model and in the exported one that is being made:
// rounding (output_rounding.h) judges by it.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tensor/tensor.h"
#include "tensor/weight.h"

namespace zhiyin {

// Of one linear layer, over the same tokens.
struct LayerView {
  Tensor tuned;     // [tokens, in] inputs in the tuned model
  Tensor exported;  // [tokens, in] inputs in the exported model, whose layers before are rounded
  // [tokens, out] what the layer's output is to make up for beside its own: what the exported
  // model's hidden states lack where the output is added to them. Undefined for other layers.
  Tensor owed;
};

// Layers are asked for and settled in the order of the forward.
class LayerViews {
 public:
  virtual ~LayerViews() = default;

  // Paths of the linear layers in the order of the forward ("model.layers.0.self_attn.q_proj").
  virtual std::vector<std::string> order() const = 0;
  virtual LayerView look(std::string_view path) = 0;
  // The matrix that the exported model has there.
  virtual void settle(std::string_view path, const Weight& matrix) = 0;
};

}  // namespace zhiyin
