#include "kernels/ref/kernels_ref.h"
#include "kernels/ref/packed_read.h"

namespace zhiyin::ref {
namespace {

// Calls put(col - begin, weight as bf16) for columns [begin, begin + count) of a row; begin is
// where a unit begins, and rows past the last hold zeros.
template <typename Put>
void for_columns(const PackedWeight& w, int64_t row, int64_t begin, int64_t count, const Put& put) {
  const PackedLayout layout = packed_layout(w.format);
  const int64_t unit_bytes = head_bytes(layout) + layout.unit_blocks * block_bytes(layout);
  const int in_group = static_cast<int>(row % kPackRows);
  const uint8_t* at = w.data + row / kPackRows * w.group_bytes +
                      begin / (layout.unit_blocks * kQ8Block) * unit_bytes;
  Head head;
  for (int64_t i = 0; i < count; ++i) {
    if (row >= w.rows) {
      put(i, uint16_t{0});
      continue;
    }
    const int in_unit = static_cast<int>(i / kQ8Block % layout.unit_blocks);
    const int in_block = static_cast<int>(i % kQ8Block);
    if (in_unit == 0 && in_block == 0) {
      read_head(layout, at, in_group, head);
      at += head_bytes(layout);
    }
    const int half = 2 * in_unit + in_block / kHalfBlock;
    const int code = read_code(layout, at, in_block, in_group) - layout.offset;
    put(i, float_to_bfloat16(head.scale[half] * static_cast<float>(code) + head.min[half]));
    if (in_block == kQ8Block - 1) at += block_bytes(layout);
  }
}

}  // namespace

void panel_from_packed(const PanelFromPackedArgs& args) {
  for (int64_t c = 0; c < kPanelCols; ++c) {
    for_columns(args.w, args.row + c, args.k, args.depth, [&](int64_t k, uint16_t value) {
      args.panel[k / 2 * 2 * kPanelCols + 2 * c + k % 2] = value;
    });
  }
}

void panels_from_packed_transposed(const PanelsFromPackedTransposedArgs& args) {
  for (int64_t r = 0; r < args.depth; ++r) {
    for_columns(args.w, args.row + r, args.col, args.cols, [&](int64_t c, uint16_t value) {
      uint16_t* panel = args.panels + c / kPanelCols * args.depth * kPanelCols;
      panel[r / 2 * 2 * kPanelCols + 2 * (c % kPanelCols) + r % 2] = value;
    });
  }
}

}  // namespace zhiyin::ref
