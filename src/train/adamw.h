// AdamW: Adam with weight decay apart from the gradient (Loshchilov and Hutter 2019), in the order
// of operations of torch.optim.AdamW. Vectors (norms, biases) do not decay, as in transformers.
#pragma once

#include <span>
#include <vector>

#include "tensor/tensor.h"

namespace zhiyin {

struct AdamWOptions {
  double beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8, weight_decay = 0;
};

class AdamW {
 public:
  AdamW(std::vector<Tensor> parameters, const AdamWOptions& options);

  // Update number `step` = 1, 2, …. gradients are those of the parameters, in their order, and are
  // multiplied by gradient_scale; an undefined one leaves its parameter as it is.
  void update(std::span<const Tensor> gradients, int64_t step, double rate, double gradient_scale);

  // First and second moments, one each a parameter, for checkpoints.
  std::vector<Tensor>& first_moments() { return first_; }
  std::vector<Tensor>& second_moments() { return second_; }

 private:
  AdamWOptions options_;
  std::vector<Tensor> parameters_, first_, second_;
};

// Length of all gradients as one vector.
double global_norm(std::span<const Tensor> gradients);
// The factor that shortens gradients of this length to max_norm; 1 where max_norm is 0.
double clip_factor(double norm, double max_norm);

}  // namespace zhiyin
