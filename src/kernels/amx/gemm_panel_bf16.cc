#include "kernels/amx/gemm_panel_bf16.h"

#include "kernels/amx/hardware_tiles.h"
#include "kernels/amx/kernels_amx.h"

namespace zhiyin::amx {

void gemm_panel_bf16(const GemmPanelBf16Args& args) {
  gemm_panel_bf16_in_tiles<HardwareTiles>(args);
}

}  // namespace zhiyin::amx
