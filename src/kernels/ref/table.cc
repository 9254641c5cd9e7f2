#include "kernels/ref/kernels_ref.h"

namespace zhiyin::ref {

KernelTable make_table() {
  return {
      .isa = Isa::kRef,
      .name = "ref",
      .prefill_in_bf16 = false,
      .prefill_requantized = false,
      .fast_packed_panels = false,
      .quantize_rows = quantize_rows,
      .packed_group_bytes = packed_group_bytes,
      .pack_rows = pack_rows,
      .gemm_packed = gemm_packed,
      .q8_tiles_from_rows = q8_tiles_from_rows,
      .gemm_requantized = gemm_requantized,
      .panel_from_packed = panel_from_packed,
      .panels_from_packed_transposed = panels_from_packed_transposed,
      .gemm_panel_f32 = gemm_panel_f32,
      .gemm_panel_bf16 = gemm_panel_bf16,
      .blocks_from_rows_bf16 = blocks_from_rows_bf16,
      .gemm_blocks_bf16 = gemm_blocks_bf16,
      .rows_from_sums = rows_from_sums,
      .gemv_dense = gemv_dense,
      .panel_from_rows_f32 = panel_from_rows_f32,
      .panel_from_rows_bf16 = panel_from_rows_bf16,
      .panels_from_rows_transposed = panels_from_rows_transposed,
      .panel_from_block = panel_from_block,
      .unpack = unpack,
      .write_kv = write_kv,
      .attend = attend,
      .dot = dot,
      .axpy = axpy,
      .scale = scale,
      .add = add,
      .mul = mul,
      .rms_norm = rms_norm,
      .rope = rope,
      .silu = silu,
      .swiglu = swiglu,
      .swiglu_backward = swiglu_backward,
      .max = max,
      .exp_sum = exp_sum,
      .softmax = softmax,
      .adamw = adamw,
      .f32_to_f16 = f32_to_f16,
      .f16_to_f32 = f16_to_f32,
      .f32_to_bf16 = f32_to_bf16,
      .bf16_to_f32 = bf16_to_f32,
  };
}

}  // namespace zhiyin::ref
