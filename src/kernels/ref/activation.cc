#include <cmath>

#include "kernels/ref/kernels_ref.h"

namespace zhiyin::ref {
namespace {

float sigmoid(float x) { return 1.0f / (1.0f + std::exp(-x)); }

}  // namespace

void silu(const float* x, float* y, int64_t n) {
  for (int64_t i = 0; i < n; ++i) y[i] = x[i] * sigmoid(x[i]);
}

void swiglu(const float* gate, const float* up, float* y, int64_t n) {
  for (int64_t i = 0; i < n; ++i) y[i] = gate[i] * sigmoid(gate[i]) * up[i];
}

void swiglu_backward(const float* gate, const float* up, const float* dy, float* d_gate,
                     float* d_up, int64_t n) {
  for (int64_t i = 0; i < n; ++i) {
    const float s = sigmoid(gate[i]);
    const float silu_gate = gate[i] * s;
    const float d_silu = s + silu_gate * (1.0f - s);
    const float d = dy[i];  // read first: the outputs may alias the inputs
    const float u = up[i];
    d_up[i] = d * silu_gate;
    d_gate[i] = d * u * d_silu;
  }
}

}  // namespace zhiyin::ref
