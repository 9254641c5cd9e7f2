// check_op: proves an operation on every instruction set this CPU has.
//
// The value on each kernel table is compared with that on the plain C++ table, for contiguous and
// for strided inputs; the gradient of a weighted sum of the outputs is compared with central
// differences. Inputs are random with a fixed seed.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "autograd/tape.h"
#include "tensor/tensor.h"

namespace zhiyin::testing {

// Kernel tables that run on this CPU, the plain C++ one first.
std::vector<const KernelTable*> kernel_tables();

// n values in [-1, 1), the same for the same seed.
std::vector<float> random_values(int64_t n, uint64_t seed);
Tensor random_tensor(Context& context, const Shape& shape, uint64_t seed);

using Op = std::function<Tensor(Context& context, const std::vector<Tensor>& inputs)>;

struct CheckOptions {
  float value_tolerance = 2e-5f;  // absolute, relative to the largest |value| above 1
  float gradient_tolerance =
      2e-2f;  // of the largest |gradient| above 1; f32 differences are coarse
  bool gradient = true;
  float step = 1e-2f;
  int64_t gradient_samples = 24;  // elements tried an input
};

void check_op(const std::string& name, const Op& op, const std::vector<Shape>& shapes,
              const CheckOptions& options = {});

}  // namespace zhiyin::testing
