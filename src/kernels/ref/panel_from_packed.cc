#include "kernels/ref/kernels_ref.h"
#include "kernels/ref/packed_read.h"

namespace zhiyin::ref {

void panel_from_packed(const PanelFromPackedArgs& args) {
  const PackedLayout layout = packed_layout(args.w.format);
  const int64_t unit_bytes = head_bytes(layout) + layout.unit_blocks * block_bytes(layout);
  for (int64_t col = 0; col < kPanelCols; ++col) {
    const int64_t row = args.row + col;
    const int in_group = static_cast<int>(row % kPackRows);
    const uint8_t* at = args.w.data + row / kPackRows * args.w.group_bytes +
                        args.k / (layout.unit_blocks * kQ8Block) * unit_bytes;
    Head head;
    for (int64_t k = 0; k < args.depth; ++k) {
      uint16_t& target = args.panel[k / 2 * 2 * kPanelCols + 2 * col + k % 2];
      if (row >= args.w.rows) {
        target = 0;
        continue;
      }
      const int in_unit = static_cast<int>(k / kQ8Block % layout.unit_blocks);
      const int in_block = static_cast<int>(k % kQ8Block);
      if (in_unit == 0 && in_block == 0) {
        read_head(layout, at, in_group, head);
        at += head_bytes(layout);
      }
      const int half = 2 * in_unit + in_block / kHalfBlock;
      const int code = read_code(layout, at, in_block, in_group) - layout.offset;
      target = float_to_bfloat16(head.scale[half] * static_cast<float>(code) + head.min[half]);
      if (in_block == kQ8Block - 1) at += block_bytes(layout);
    }
  }
}

}  // namespace zhiyin::ref
