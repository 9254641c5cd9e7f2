// Rounding that keeps what a layer says rather than each of its weights.
//
// An adapter trained on a quantised model moves weights by less than a step of their format.
// Rounded one by one they fall back onto the grid that they came from, and the merged file speaks
// as the base does. Here codes change where that brings the outputs x . w closer, over inputs x
// that the layer has seen: the adapter's small push on many weights becomes a whole step of a few.
// The error e of a row costs e^T (X^T X) e. Weights are rounded one after the other, those with the
// largest inputs first, and what each rounding loses the others make up for (GPTQ, Frantar et al.
// 2023; the nearest-plane walk of Babai 1986, as Chen et al. 2025 show); then single codes change
// as long as that helps. The scales stay.
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
  // Columns in the order in which they are decided, backwards: the last one first.
  struct Walk;
  void round_in_turn(Walk& walk) const;
  void round_band(Walk& walk, const Tensor& pushes, int64_t begin, int64_t end, int64_t row) const;
  void change_singly(Format format, uint8_t* packed, const float* targets, int64_t rows) const;
  void change_row(Format format, uint8_t* packed, float* gradient, RowCodes& row) const;

  Context& context_;
  int64_t width_;
  Matrix products_;             // X^T X / tokens, damped, [in, in]
  std::vector<int64_t> order_;  // columns by their own product, the smallest first
  Tensor factor_;               // upper factor of the products in that order
};

}  // namespace zhiyin
