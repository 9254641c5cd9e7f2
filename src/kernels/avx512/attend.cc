#include "kernels/avx512/attend_bf16.h"
#include "kernels/avx512/kernels_avx512.h"

namespace zhiyin::avx512 {

void attend(const AttendArgs& args) {
  if (!args.bf16) return wide::attend<Lanes>(args);
  attend_bf16(args, gemm_panel_bf16);
}

}  // namespace zhiyin::avx512
