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
//
// Layers before have been rounded too, so a layer of the exported model sees other inputs than it
// did in the tuned one. It is to say what it said then, from what it sees now (as in GPTAQ, Li et
// al. 2025), and where its output is added to the hidden states, also what those have lost.
#pragma once

#include <cstdint>
#include <vector>

#include "export/layer_views.h"
#include "ops/ops.h"
#include "quant/codes.h"
#include "tensor/context.h"

namespace zhiyin {

class OutputRounding {
 public:
  OutputRounding(Context& context, const LayerView& view);

  // Changes codes of packed rows [first, first + rows) so that their products with the exported
  // model's inputs come close to those of the targets [rows, in] with the tuned one's.
  void refine(Format format, uint8_t* packed, const float* targets, int64_t first,
              int64_t rows) const;

 private:
  // Columns in the order in which they are decided, backwards: the last one first.
  struct Walk;
  void sum_products(const Tensor& inputs);
  void factorise();
  Tensor wishes(const float* targets, int64_t first, int64_t rows) const;
  Tensor pulls(const Tensor& wishes) const;
  void round_in_turn(Walk& walk) const;
  void round_band(Walk& walk, const Tensor& pushes, int64_t begin, int64_t end, int64_t row) const;
  void change_singly(Format format, uint8_t* packed, const float* targets, const Tensor& wishes,
                     int64_t rows) const;
  void change_row(Format format, uint8_t* packed, float* gradient, RowCodes& row) const;

  Context& context_;
  int64_t width_;
  Matrix products_;             // X^T X / tokens of the exported inputs, damped, [in, in]
  Tensor drift_;                // (X_tuned - X)^T X / tokens; undefined: the inputs are the same
  Tensor owed_;                 // owed^T X / tokens [out, in]; undefined: nothing
  std::vector<int64_t> order_;  // columns by their own product, the smallest first
  Tensor factor_;               // upper factor of the products in that order
};

}  // namespace zhiyin
