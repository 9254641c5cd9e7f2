#include "kernels/ref/kernels_ref.h"
#include "kernels/ref/packed_read.h"

namespace zhiyin::ref {
namespace {

// The activations of one token.
struct Token {
  const int8_t* q;
  const int8_t* low;  // or nullptr
  const float* scales;

  int value(int64_t i) const { return low == nullptr ? q[i] : 256 * q[i] + low[i]; }
};

float dot_row(const PackedGemmArgs& args, const uint8_t* group, int row, Token token) {
  const PackedLayout layout = packed_layout(args.w.format);
  float total = 0.0f;
  Head head;
  for (int64_t block = 0; block < args.w.cols / kQ8Block; ++block) {
    const int in_unit = static_cast<int>(block % layout.unit_blocks);
    if (in_unit == 0) {
      read_head(layout, group, row, head);
      group += head_bytes(layout);
    }
    for (int h = 0; h < 2; ++h) {
      int dot = 0, sum = 0;
      for (int i = 0; i < kHalfBlock; ++i) {
        const int x = token.value(block * kQ8Block + h * kHalfBlock + i);
        dot += x * (read_code(layout, group, h * kHalfBlock + i, row) - layout.offset);
        sum += x;
      }
      const int half = 2 * in_unit + h;
      total += token.scales[block] * (head.scale[half] * static_cast<float>(dot) +
                                      head.min[half] * static_cast<float>(sum));
    }
    group += block_bytes(layout);
  }
  return total;
}

}  // namespace

void gemm_packed(const PackedGemmArgs& args) {
  const int64_t blocks = args.w.cols / kQ8Block;
  for (int64_t row = args.row_begin; row < args.row_end; ++row) {
    const uint8_t* group = args.w.data + row / kPackRows * args.w.group_bytes;
    for (int64_t t = 0; t < args.tokens; ++t) {
      args.y[t * args.y_stride + row] = dot_row(
          args, group, static_cast<int>(row % kPackRows),
          {args.q + t * args.w.cols, args.low == nullptr ? nullptr : args.low + t * args.w.cols,
           args.scales + t * blocks});
    }
  }
}

}  // namespace zhiyin::ref
