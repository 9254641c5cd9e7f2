#include "kernels/amx/gemm_blocks_bf16.h"

#include "kernels/amx/hardware_tiles.h"
#include "kernels/amx/kernels_amx.h"

namespace zhiyin::amx {

void gemm_blocks_bf16(const GemmBlocksBf16Args& args) {
  HardwareTiles tiles;
  multiply_blocks(tiles, args);
}

}  // namespace zhiyin::amx
