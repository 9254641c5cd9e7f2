#include "kernels/avx2/kernels_avx2.h"
#include "kernels/ref/kernels_ref.h"

namespace zhiyin::avx2 {

KernelTable make_table() {
  KernelTable table = ref::make_table();
  table.isa = Isa::kAvx2;
  table.name = "avx2";
  return table;
}

}  // namespace zhiyin::avx2
