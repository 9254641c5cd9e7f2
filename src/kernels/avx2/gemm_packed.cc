#include "kernels/avx2/kernels_avx2.h"
#include "kernels/avx2/packed_simd.h"
#include "kernels/packed_driver.h"

namespace zhiyin::avx2 {

void gemm_packed(const PackedGemmArgs& args) {
  for_packed_format(args.w.format, [&]<Format kFormat>() { multiply<Simd, kFormat>(args); });
}

}  // namespace zhiyin::avx2
