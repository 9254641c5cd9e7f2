#include "kernels/amx/gemm_panel_bf16.h"
#include "kernels/amx/hardware_tiles.h"
#include "kernels/amx/kernels_amx.h"
#include "kernels/avx512/attend_bf16.h"
#include "kernels/avx512/kernels_avx512.h"

namespace zhiyin::amx {

void attend(const AttendArgs& args) {
  if (!args.bf16) return avx512::attend(args);
  HardwareTiles tiles;
  avx512::attend_bf16(args,
                      [&](const GemmPanelBf16Args& product) { multiply_panel(tiles, product); });
}

}  // namespace zhiyin::amx
