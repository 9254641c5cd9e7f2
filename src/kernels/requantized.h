// How products with requantised weights are computed: what kernels/kernels.h says of
// RequantizedGemmArgs, for the files of the instruction sets.
#pragma once

#include <cstdint>

#include "kernels/kernels.h"

namespace zhiyin {

// Levels a window's weights are rounded to. Few bits go through the low half of a product of 16
// bits, code * factor of two bytes before the point, many through its high half, whose other
// operand is a signed number of 16 bits.
static inline constexpr float requantize_levels(int bits) { return bits <= 5 ? 254.0f : 250.0f; }
static inline constexpr float requantize_factor(int bits) {
  return bits <= 5 ? 256.0f : static_cast<float>(1 << (7 + bits));
}
// A row whose weights of a window differ by less counts as constant.
inline constexpr float kRequantizeTiny = 1e-30f;

}  // namespace zhiyin
