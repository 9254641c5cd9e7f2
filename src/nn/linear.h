// Linear layers and the adapters on them. LoRA is data on a Linear, found by its path; no model
// file mentions it.
#pragma once

#include <functional>
#include <initializer_list>
#include <string>
#include <vector>

#include "nn/weights.h"

namespace zhiyin {

// y += scale * dropout(x) . a^T . b^T (Hu et al. 2021)
struct Lora {
  Tensor a;  // [rank, in]
  Tensor b;  // [out, rank]
  float scale = 1;
  float dropout = 0;
  uint64_t dropout_seed = 0;  // of this forward; the trainer sets it; 0: no dropout
};

class Linear {
 public:
  Linear() = default;
  // Reads w.weight [out, in] and, where has_bias, w.bias [out].
  Linear(const Weights& w, int64_t out, int64_t in, bool has_bias);

  Tensor operator()(const Tensor& x) const;

  const std::string& path() const { return path_; }
  const Matrix& matrix() const { return matrix_; }
  const Tensor& bias() const { return bias_; }
  // Another matrix of the same shape, which is all the layer does from now on: adapters go.
  void replace(Matrix matrix);

  std::vector<Lora>& adapters() { return adapters_; }
  const std::vector<Lora>& adapters() const { return adapters_; }

  // Whether it is its matrix and nothing else.
  bool plain() const { return !bias_.defined() && adapters_.empty() && !on_input_; }

  // Its adapters, for an operation that has its input within; and whether that may be: no bias, no
  // dropout now, and nobody who looks at the input.
  std::vector<LowRank> low_rank() const { return low_rank(Tensor()); }
  bool fusable() const;

  // Sees every input [tokens, in] before the layer does, as calibration needs; empty: nobody looks.
  std::function<void(const Tensor&)>& on_input() { return on_input_; }

 private:
  friend std::vector<Tensor> project_many(const Tensor& x,
                                          std::initializer_list<const Linear*> layers,
                                          Rounding rounding);
  // What the adapters add for this input.
  std::vector<LowRank> low_rank(const Tensor& x) const;

  std::string path_;
  Matrix matrix_;
  Tensor bias_;
  std::vector<Lora> adapters_;
  std::function<void(const Tensor&)> on_input_;
};

// Several layers of one input, which is rounded to 8 bits only once.
std::vector<Tensor> project_many(const Tensor& x, std::initializer_list<const Linear*> layers,
                                 Rounding rounding = Rounding::kAuto);

}  // namespace zhiyin
