#include "kernels/amx/kernels_amx.h"
#include "kernels/avx512/kernels_avx512.h"

namespace zhiyin::amx {

KernelTable make_table() {
  KernelTable table = avx512::make_table();
  table.isa = Isa::kAmx;
  table.name = "amx-int8-bf16";
  table.prefill_in_bf16 = true;
  table.gemm_packed = gemm_packed;
  table.gemm_panel_bf16 = gemm_panel_bf16;
  table.gemm_blocks_bf16 = gemm_blocks_bf16;
  table.attend = attend;
  return table;
}

}  // namespace zhiyin::amx
