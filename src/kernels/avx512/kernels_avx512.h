// The kernels written for AVX-512 with VNNI and BF16; the rest of the table comes from avx2.
#pragma once

#include "kernels/kernels.h"

namespace zhiyin::avx512 {

KernelTable make_table();

void quantize_rows(const float* x, int64_t x_stride, int64_t rows, int64_t cols, Q8Rows out);
void q8_tiles_from_rows(const float* x, int64_t x_stride, int64_t rows,
                        const Q8TileLayout& layout, uint8_t* tiles);
void gemm_packed(const PackedGemmArgs& args);
void gemm_requantized(const RequantizedGemmArgs& args);
void panel_from_packed(const PanelFromPackedArgs& args);
void panels_from_packed_transposed(const PanelsFromPackedTransposedArgs& args);

void gemm_panel_bf16(const GemmPanelBf16Args& args);
void blocks_from_rows_bf16(const BlocksFromRowsArgs& args);
void panels_from_rows_transposed(const PanelsFromRowsTransposedArgs& args);
void panel_from_block(const PanelFromBlockArgs& args);
void gemm_blocks_bf16(const GemmBlocksBf16Args& args);
void attend(const AttendArgs& args);

// Run a number of rounds of one instruction and return how many operations that was (probe.h).
int64_t probe_f32(int64_t rounds);
int64_t probe_bf16(int64_t rounds);
int64_t probe_int8(int64_t rounds);

}  // namespace zhiyin::avx512
