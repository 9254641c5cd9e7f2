#include <algorithm>
#include <cmath>

#include "kernels/ref/kernels_ref.h"
#include "kernels/ref/packed_read.h"
#include "kernels/requantized.h"

namespace zhiyin::ref {
namespace {

// A window of one row.
struct Window {
  float low, step;
  int levels[kQ8Window];
};

Window requantize(const PackedWeight& w, int64_t row, int64_t begin, int64_t end) {
  const PackedLayout layout = packed_layout(w.format);
  const int unit_bytes = head_bytes(layout) + layout.unit_blocks * block_bytes(layout);
  const uint8_t* group = w.data + row / kPackRows * w.group_bytes;
  const int lane = static_cast<int>(row % kPackRows);
  const int bits = layout.table ? 8 : layout.bits;
  float scale[kQ8Window], zero[kQ8Window];  // weight = zero + scale * code
  int codes[kQ8Window];
  Window window{};
  float high = 0.0f;
  for (int64_t col = begin; col < end; ++col) {
    const int64_t block = col / kQ8Block;
    const uint8_t* unit = group + block / layout.unit_blocks * unit_bytes;
    const int in_unit = static_cast<int>(block % layout.unit_blocks);
    Head head;
    read_head(layout, unit, lane, head);
    const auto half = static_cast<size_t>(2 * in_unit + col % kQ8Block / kHalfBlock);
    const auto i = static_cast<size_t>(col - begin);
    scale[i] = head.scale[half];
    zero[i] = head.min[half] - scale[i] * static_cast<float>(layout.offset);
    codes[i] = read_code(layout, unit + head_bytes(layout) + in_unit * block_bytes(layout),
                         static_cast<int>(col % kQ8Block), lane);
    const float last = zero[i] + scale[i] * static_cast<float>((1 << bits) - 1);
    window.low = i == 0 ? std::min(zero[i], last) : std::min({window.low, zero[i], last});
    high = i == 0 ? std::max(zero[i], last) : std::max({high, zero[i], last});
  }
  window.step = (high - window.low) / requantize_levels(bits);
  for (int64_t i = 0; i < end - begin; ++i) {
    const float weight = zero[i] + scale[i] * static_cast<float>(codes[i]);
    window.levels[i] = high - window.low > kRequantizeTiny
                           ? static_cast<int>(std::lround((weight - window.low) / window.step))
                           : 0;
  }
  return window;
}

const float* floats(const uint8_t* tile, int64_t at) {
  return reinterpret_cast<const float*>(tile + at);
}

}  // namespace

void gemm_requantized(const RequantizedGemmArgs& args) {
  const int64_t cols = args.w.cols;
  const Q8TileLayout layout{cols, args.fine};
  for (int64_t row = args.row_begin; row < args.row_end; ++row) {
    for (int64_t t = 0; t < args.tokens; ++t) args.y[t * args.y_stride + row] = 0.0f;
    for (int64_t begin = 0; begin < cols; begin += kQ8Window) {
      const int64_t end = std::min(cols, begin + kQ8Window);
      const Window window = requantize(args.w, row, begin, end);
      for (int64_t t = 0; t < args.tokens; ++t) {
        const uint8_t* tile = args.tiles + t / kQ8TileTokens * layout.bytes();
        const int64_t in_tile = t % kQ8TileTokens;
        float total = 0.0f;
        int dot = 0;
        for (int64_t col = begin; col < end; ++col) {
          const int64_t at = 4 * in_tile + col % 4;
          const auto byte = [&](int64_t part) { return static_cast<int8_t>(tile[part + at]); };
          const int64_t quad = col / 4 * 4;
          const int high = byte(layout.q_at(quad));
          const int x = args.fine ? 256 * high + byte(layout.low_at(quad)) : high;
          dot += window.levels[col - begin] * x;
          if ((col + 1) % kQ8Block == 0) {
            total += floats(tile, layout.scales_at(col))[in_tile] * static_cast<float>(dot);
            dot = 0;
          }
        }
        args.y[t * args.y_stride + row] +=
            window.step * total + window.low * floats(tile, layout.sums_at(begin))[in_tile];
      }
    }
  }
}

}  // namespace zhiyin::ref
