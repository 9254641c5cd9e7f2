// The kernels in plain C++: what every other table is tested against.
#pragma once

#include "kernels/kernels.h"

namespace zhiyin::ref {

KernelTable make_table();

void quantize_rows(const float* x, int64_t x_stride, int64_t rows, int64_t cols, Q8Rows out);
int64_t packed_group_bytes(Format format, int64_t cols);
void pack_rows(Format format, const uint8_t* source, int64_t row_bytes, int rows, int64_t cols,
               uint8_t* target);
void gemm_packed(const PackedGemmArgs& args);
void q8_tiles_from_rows(const float* x, int64_t x_stride, int64_t rows,
                        const Q8TileLayout& layout, uint8_t* tiles);
void gemm_requantized(const RequantizedGemmArgs& args);
void panel_from_packed(const PanelFromPackedArgs& args);
void panels_from_packed_transposed(const PanelsFromPackedTransposedArgs& args);

void gemm_panel_f32(const GemmPanelF32Args& args);
void gemm_panel_bf16(const GemmPanelBf16Args& args);
void blocks_from_rows_bf16(const BlocksFromRowsArgs& args);
void gemm_blocks_bf16(const GemmBlocksBf16Args& args);
void rows_from_sums(const RowsFromSumsArgs& args);
void gemv_dense(const GemvDenseArgs& args);
void panel_from_rows_f32(const float* rows, int64_t stride, int cols, int64_t k, float* panel);
void panel_from_rows_bf16(const float* rows, int64_t stride, int cols, int64_t k, uint16_t* panel);
void panels_from_rows_transposed(const PanelsFromRowsTransposedArgs& args);
void panel_from_block(const PanelFromBlockArgs& args);
void unpack(Format format, const void* source, float* target, int64_t n);

void write_kv(const WriteKvArgs& args);
void attend(const AttendArgs& args);

float dot(const float* a, const float* b, int64_t n);
void axpy(float alpha, const float* x, float* y, int64_t n);
void scale(float alpha, const float* x, float* y, int64_t n);
void add(const float* a, const float* b, float* y, int64_t n);
void mul(const float* a, const float* b, float* y, int64_t n);
float rms_norm(const float* x, const float* w, float epsilon, float* y, int64_t n);
void rope(const RopeArgs& args);
void silu(const float* x, float* y, int64_t n);
void swiglu(const float* gate, const float* up, float* y, int64_t n);
void swiglu_backward(const float* gate, const float* up, const float* dy, float* d_gate,
                     float* d_up, int64_t n);
float max(const float* x, int64_t n);
float exp_sum(const float* x, float shift, float* y, int64_t n);
void softmax(const float* x, float scale, float* y, int64_t n);
void adamw(const AdamWArgs& args);

void f32_to_f16(const float* x, uint16_t* y, int64_t n);
void f16_to_f32(const uint16_t* x, float* y, int64_t n);
void f32_to_bf16(const float* x, uint16_t* y, int64_t n);
void bf16_to_f32(const uint16_t* x, float* y, int64_t n);

}  // namespace zhiyin::ref
