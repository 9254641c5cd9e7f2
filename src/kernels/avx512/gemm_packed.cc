#include "kernels/avx512/kernels_avx512.h"
#include "kernels/avx512/packed_simd.h"
#include "kernels/packed_driver.h"

namespace zhiyin::avx512 {

void gemm_packed(const PackedGemmArgs& args) {
  for_packed_format(args.w.format, [&]<Format kFormat>() { multiply<Simd, kFormat>(args); });
}

}  // namespace zhiyin::avx512
