// The kernels written for AVX-512 with VNNI and BF16; the rest of the table comes from avx2.
#pragma once

#include "kernels/kernels.h"

namespace zhiyin::avx512 {

KernelTable make_table();

void quantize_rows(const float* x, int64_t x_stride, int64_t rows, int64_t cols, Q8Rows out);
void gemm_packed(const PackedGemmArgs& args);

void gemm_panel_f32(const GemmPanelF32Args& args);
void gemm_panel_bf16(const GemmPanelBf16Args& args);
void gemv_dense(const GemvDenseArgs& args);
void panel_from_rows_f32(const float* rows, int64_t stride, int cols, int64_t k, float* panel);
void panel_from_rows_bf16(const float* rows, int64_t stride, int cols, int64_t k, uint16_t* panel);

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

// Run a number of rounds of one instruction and return how many operations that was (probe.h).
int64_t probe_f32(int64_t rounds);
int64_t probe_bf16(int64_t rounds);
int64_t probe_int8(int64_t rounds);

}  // namespace zhiyin::avx512
