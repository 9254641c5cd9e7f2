#include <cassert>
#include <cstring>

#include "kernels/ref/kernels_ref.h"
#include "quant/formats.h"

namespace zhiyin::ref {
namespace {

// Rows come from files, so a value may lie at any address.
template <typename Stored, typename ToFloat>
float dot_stored(const uint8_t* row, const float* x, int64_t n, ToFloat to_float) {
  float sum = 0;
  for (int64_t i = 0; i < n; ++i) {
    Stored w;
    std::memcpy(&w, row + i * static_cast<int64_t>(sizeof w), sizeof w);
    sum += to_float(w) * x[i];
  }
  return sum;
}

}  // namespace

void gemv_dense(const GemvDenseArgs& args) {
  for (int64_t r = 0; r < args.rows; ++r) {
    const uint8_t* row = static_cast<const uint8_t*>(args.w) + r * args.row_stride_bytes;
    switch (args.format) {
      case Format::kF32:
        args.y[r] = dot_stored<float>(row, args.x, args.cols, [](float w) { return w; });
        break;
      case Format::kF16:
        args.y[r] = dot_stored<uint16_t>(row, args.x, args.cols, half_to_float);
        break;
      case Format::kBF16:
        args.y[r] = dot_stored<uint16_t>(row, args.x, args.cols, bfloat16_to_float);
        break;
      default:
        assert(false && "gemv_dense takes F32, F16, BF16");
    }
  }
}

}  // namespace zhiyin::ref
