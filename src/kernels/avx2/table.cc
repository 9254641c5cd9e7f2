#include "kernels/wide/table.h"

#include "kernels/avx2/kernels_avx2.h"
#include "kernels/avx2/lanes.h"
#include "kernels/ref/kernels_ref.h"

namespace zhiyin::avx2 {

KernelTable make_table() {
  KernelTable table = ref::make_table();
  table.isa = Isa::kAvx2;
  table.name = "avx2";
  table.quantize_rows = quantize_rows;
  table.gemm_packed = gemm_packed;
  wide::enter<Lanes>(&table);
  table.gemm_blocks_bf16 = gemm_blocks_bf16;
  return table;
}

}  // namespace zhiyin::avx2
