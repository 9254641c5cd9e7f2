// The kernels of this folder as entries of an instruction set's table.
#pragma once

#include "kernels/wide/attend.h"
#include "kernels/wide/blocks.h"
#include "kernels/wide/product.h"
#include "kernels/wide/rows.h"
#include "kernels/wide/unpack.h"

namespace zhiyin::wide {
namespace {

// Enters every kernel of this folder, for vectors of one instruction set.
template <typename L>
void enter(KernelTable* table) {
  table->gemm_panel_f32 = gemm_panel_f32<L>;
  table->gemv_dense = gemv_dense<L>;
  table->panel_from_rows_f32 = panel_from_rows_f32<L>;
  table->panel_from_rows_bf16 = panel_from_rows_bf16<L>;
  table->blocks_from_rows_bf16 = blocks_from_rows_bf16<L>;
  table->rows_from_sums = rows_from_sums<L>;
  table->unpack = unpack<L>;
  table->write_kv = write_kv<L>;
  table->attend = attend<L>;
  table->dot = dot<L>;
  table->axpy = axpy<L>;
  table->scale = scale<L>;
  table->add = add<L>;
  table->mul = mul<L>;
  table->rms_norm = rms_norm<L>;
  table->rope = rope<L>;
  table->silu = silu<L>;
  table->swiglu = swiglu<L>;
  table->swiglu_backward = swiglu_backward<L>;
  table->max = max<L>;
  table->exp_sum = exp_sum<L>;
  table->softmax = softmax<L>;
  table->adamw = adamw<L>;
  table->f32_to_f16 = f32_to_f16<L>;
  table->f16_to_f32 = f16_to_f32<L>;
  table->f32_to_bf16 = f32_to_bf16<L>;
  table->bf16_to_f32 = bf16_to_f32<L>;
}

}  // namespace
}  // namespace zhiyin::wide
