// Rounding that keeps what a layer says rather than each of its weights.
//
// An adapter trained on a quantised model moves weights by less than a step of their format.
// Rounded one by one they fall back onto the grid that they came from, and the merged file speaks
// as the base does. Here codes change by a step where that brings the outputs x . w closer, over
// inputs x that the layer has seen: the adapter's small push on many weights becomes a whole step
// of a few. Greedy coordinate descent on e^T (X^T X) e, as in adaptive rounding (Nagel et al. 2020)
// and GPTQ (Frantar et al. 2023), with the scales fixed.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "ops/ops.h"
#include "quant/codes.h"
#include "tensor/context.h"

namespace zhiyin {

// Inputs [tokens, in] of linear layers by their path, seen while a model read some text.
using LayerInputs = std::map<std::string, Tensor, std::less<>>;

class OutputRounding {
 public:
  // inputs [tokens, in]
  OutputRounding(Context& context, const Tensor& inputs);

  // Changes codes of `rows` packed rows so that their products with the inputs come close to those
  // of the targets [rows, in].
  void refine(Format format, uint8_t* packed, const float* targets, int64_t rows) const;

 private:
  void refine_row(Format format, uint8_t* packed, float* gradient, RowCodes& row) const;

  Context& context_;
  int64_t width_;
  Matrix products_;  // X^T X / tokens, damped, [in, in]
};

}  // namespace zhiyin
