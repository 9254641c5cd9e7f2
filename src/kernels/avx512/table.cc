#include "kernels/wide/table.h"

#include "kernels/avx2/kernels_avx2.h"
#include "kernels/avx512/kernels_avx512.h"
#include "kernels/avx512/lanes.h"

namespace zhiyin::avx512 {

KernelTable make_table() {
  KernelTable table = avx2::make_table();
  table.isa = Isa::kAvx512;
  table.name = "avx512-vnni-bf16";
  table.quantize_rows = quantize_rows;
  table.gemm_packed = gemm_packed;
  table.prefill_requantized = true;
  table.q8_tiles_from_rows = q8_tiles_from_rows;
  table.gemm_requantized = gemm_requantized;
  table.fast_packed_panels = true;
  table.panel_from_packed = panel_from_packed;
  table.panels_from_packed_transposed = panels_from_packed_transposed;
  wide::enter<Lanes>(&table);
  table.gemm_panel_bf16 = gemm_panel_bf16;
  table.blocks_from_rows_bf16 = blocks_from_rows_bf16;
  table.panels_from_rows_transposed = panels_from_rows_transposed;
  table.panel_from_block = panel_from_block;
  table.gemm_blocks_bf16 = gemm_blocks_bf16;
  table.attend = attend;
  return table;
}

}  // namespace zhiyin::avx512
