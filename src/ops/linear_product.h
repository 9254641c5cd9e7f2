// One layer's product with its low-rank terms, and its way back; what linear_many is made of.
#pragma once

#include <memory>
#include <vector>

#include "ops/ops.h"
#include "ops/product_bf16.h"

namespace zhiyin {

// Rows rounded to bf16 when a first product asks for them.
class RoundedRows {
 public:
  explicit RoundedRows(const Tensor& x) : x_(x) {}
  const Bf16Rows& get();

 private:
  Tensor x_;
  std::unique_ptr<Bf16Rows> rows_;
};

// y = x . m^T + the low-rank terms of an operand. inner gets scale * input . a^T of each term,
// [rows, rank].
//
// In one pass over y, with products in bf16:
void multiply_in_bf16(const Tensor& x, const LinearOperand& operand, RoundedRows& rounded,
                      std::vector<Tensor>& inner, Tensor& y);
// The terms by themselves, to what y has already:
void add_low_rank(const LinearOperand& operand, std::vector<Tensor>& inner, Tensor& y);

// What a layer did to x, for its gradient.
struct LinearRecord {
  Tensor x;
  Matrix matrix;
  Tensor bias;
  std::vector<LowRank> low_rank;
  std::vector<Tensor> inner;
};
// The tensors a gradient may be asked of: x, matrix, bias, and input, a and b of each low-rank
// term; and from dy their gradients. Where an input is x, its share is in that of x.
std::vector<const Tensor*> linear_inputs(const LinearRecord& record);
std::vector<Tensor> linear_gradients(const LinearRecord& record, const Tensor& dy);

}  // namespace zhiyin
