// The kernels written for this instruction set; the rest of its table comes from ref.
#pragma once

#include "kernels/kernels.h"

namespace zhiyin::avx2 {

KernelTable make_table();

void quantize_rows(const float* x, int64_t x_stride, int64_t rows, int64_t cols, Q8Rows out);
void gemm_packed(const PackedGemmArgs& args);

void gemm_blocks_bf16(const GemmBlocksBf16Args& args);

// Run a number of rounds of one operation and return how many operations that was (probe.h).
int64_t probe_f32(int64_t rounds);
int64_t probe_int8(int64_t rounds);

}  // namespace zhiyin::avx2
