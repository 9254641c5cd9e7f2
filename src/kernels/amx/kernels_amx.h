// The kernels written for this instruction set; the rest of its table comes from avx512.
#pragma once

#include "kernels/kernels.h"

namespace zhiyin::amx {

KernelTable make_table();

void gemm_packed(const PackedGemmArgs& args);
void gemm_panel_bf16(const GemmPanelBf16Args& args);
void gemm_blocks_bf16(const GemmBlocksBf16Args& args);
void attend(const AttendArgs& args);

// See kernels/probe.h; returns the operations done.
int64_t probe_bf16(int64_t rounds);

}  // namespace zhiyin::amx
