// The low-rank terms of layers that share an input, side by side, with products in bf16: one
// product with all first factors, and gradients from what is rounded already.
#pragma once

#include <span>
#include <vector>

#include "ops/product_bf16.h"

namespace zhiyin {

class StackedTerms {
 public:
  // One list of terms a layer. What they take as input is the caller's to say.
  StackedTerms(Context& context, std::span<const std::vector<LowRank>* const> layers);

  int64_t rank() const { return rank_; }  // of all terms together; 0: there are none
  // scale * x . a^T of all terms, [rows, rank]
  Tensor inner(const Bf16Rows& x) const;
  // What a layer adds to its product is inner . these: its second factors, zero for the others'.
  // The terms must outlive them.
  PanelSource second_factors(size_t layer) const;
  // First factors, for what the input's gradient gets from gradients of inner values.
  PanelSource first_factors_transposed() const;

  // Of the inner values, from each layer's dy.
  Tensor inner_gradient(std::span<const Bf16Rows* const> dy) const;
  // Of a and b of all terms in turn, layer by layer.
  std::vector<Tensor> gradients(const Bf16Rows& x, const Tensor& inner,
                                const Tensor& inner_gradient,
                                std::span<const Bf16Rows* const> dy) const;
  // The tensors these belong to.
  std::vector<const Tensor*> factors() const;

 private:
  struct Term {
    size_t layer;
    Matrix a, b;
    float scale;
    int64_t offset;  // of its columns among all inner values
    int64_t rank() const { return a.rows(); }
  };
  void scale_columns(Tensor& inner) const;

  Context& context_;
  std::vector<Term> terms_;
  int64_t rank_ = 0;
  Matrix first_;  // all a, [rank, in]
};

// left^T . x of narrow rows left [rows, n]: [n, x.cols()]
Tensor narrow_outer(const Tensor& left, const Bf16Rows& x);

}  // namespace zhiyin
