#include "kernels/avx2/kernels_avx2.h"
#include "kernels/avx512/kernels_avx512.h"

namespace zhiyin::avx512 {

KernelTable make_table() {
  KernelTable table = avx2::make_table();
  table.isa = Isa::kAvx512;
  table.name = "avx512-vnni-bf16";

  table.quantize_rows = quantize_rows;
  table.gemm_packed = gemm_packed;
  table.gemm_panel_f32 = gemm_panel_f32;
  table.gemm_panel_bf16 = gemm_panel_bf16;
  table.gemv_dense = gemv_dense;
  table.panel_from_rows_f32 = panel_from_rows_f32;
  table.panel_from_rows_bf16 = panel_from_rows_bf16;
  table.attend = attend;
  table.dot = dot;
  table.axpy = axpy;
  table.scale = scale;
  table.add = add;
  table.mul = mul;
  table.rms_norm = rms_norm;
  table.rope = rope;
  table.silu = silu;
  table.swiglu = swiglu;
  table.swiglu_backward = swiglu_backward;
  table.max = max;
  table.exp_sum = exp_sum;
  table.softmax = softmax;
  table.adamw = adamw;
  table.f32_to_f16 = f32_to_f16;
  table.f16_to_f32 = f16_to_f32;
  table.f32_to_bf16 = f32_to_bf16;
  table.bf16_to_f32 = bf16_to_f32;

  return table;
}

}  // namespace zhiyin::avx512
