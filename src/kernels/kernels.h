// The kernel table: every hot loop of zhiyin as a function pointer, one table an instruction set.
//
// A kernel works on plain pointers. It sees no tensor, allocates nothing, starts no thread and
// cannot fail; its caller (src/ops) has checked shapes and splits the work over threads. The table
// of src/kernels/ref is plain C++ and defines what each kernel computes; avx2, avx512 and amx copy
// the table before them and replace what they do faster, so a table never has an empty slot.
//
// Files of an instruction set are compiled with its flags and include no standard-library
// templates: an inline function compiled there could be the copy that the linker keeps for all.
#pragma once

#include <cstddef>
#include <cstdint>

#include "quant/formats.h"

namespace zhiyin {

enum class Isa : uint8_t { kRef, kAvx2, kAvx512, kAmx };

// ---- integer products: weights of 4 to 8 bits against activations of 8 bits -------------------

inline constexpr int kPackRows = 16;  // rows interleaved in one group
inline constexpr int kQ8Block = 32;   // activations that share a scale

// Activations as integers, in blocks of 32 that share a scale; cols is a multiple of 32, row r lies
// at q + r * cols, scales + r * cols / 32, low and sums likewise.
//
// Plain (low is nullptr): v = q = round(x / scale), scale = max|x| / 127 of the block.
// Fine: v = 256 q + low = round(x / scale), scale = max|x| / (127 * 256): about 15 bits. low stays
// above -128, which products of signed bytes cannot take, so v is one too large for one value in
// 256.
//
// sums holds the sum of each block's v, which turns a weight's offset into one multiply a block.
struct Q8Rows {
  int8_t* q;
  int8_t* low;
  float* scales;
  int32_t* sums;
};

// A weight in the packed form of pack_rows: groups of 16 rows, group_bytes apart, so that one
// vector holds the same four columns of 16 rows and no sum across lanes is needed.
struct PackedWeight {
  const uint8_t* data;
  Format format;  // what it was packed from
  int64_t rows, cols;
  int64_t group_bytes;
};

// A row's result does not depend, to the bit, on how many rows come with it.
struct PackedGemmArgs {
  PackedWeight w;
  const int8_t* q;      // [tokens, cols]
  const int8_t* low;    // [tokens, cols], or nullptr
  const float* scales;  // [tokens, cols / 32]
  const int32_t* sums;  // [tokens, cols / 32]
  int64_t tokens;
  float* y;  // y[t * y_stride + row]
  int64_t y_stride;
  int64_t row_begin, row_end;  // multiples of 16, row_end may be w.rows; only these are written
};

// Activations for gemm_requantized, rounded as Q8Rows has them: tiles of six tokens, those that a
// last tile lacks zero. A tile holds q[cols / 4][6][4], of fine rounding low[cols / 4][6][4], then
// scales[cols / 32][6], then sums[cols / 128 up][6]: of scale * v of each window of columns.
inline constexpr int kQ8TileTokens = 6;
inline constexpr int kQ8Window = 128;

// Where the parts of a tile lie that belong to column `col`, and how many bytes it takes.
struct Q8TileLayout {
  int64_t cols;
  bool fine;

  int64_t low_at(int64_t col) const { return (cols + col) * kQ8TileTokens; }
  int64_t q_at(int64_t col) const { return col * kQ8TileTokens; }
  int64_t scales_at(int64_t col) const {
    return ((fine ? 2 : 1) * cols + 4 * (col / kQ8Block)) * kQ8TileTokens;
  }
  int64_t sums_at(int64_t col) const {
    return scales_at(cols) + col / kQ8Window * 4 * kQ8TileTokens;
  }
  int64_t bytes() const { return (sums_at(cols + kQ8Window - 1) + 63) / 64 * 64; }
};

// y = x . w^T with the weights of each row's windows rounded to about 250 equal steps of 8 bits on
// the way, so that a sum of 32 products needs one scale, the activations', and no offset. The error
// of a weight is at most half a step, range / 500 of its window: far below that of its format.
struct RequantizedGemmArgs {
  PackedWeight w;
  const uint8_t* tiles;  // [tokens / 6 up] tiles
  bool fine;
  int64_t tokens;
  float* y;  // y[t * y_stride + row]
  int64_t y_stride;
  int64_t row_begin, row_end;  // multiples of 16, row_end may be w.rows; only these are written
};

// ---- dense products ----------------------------------------------------------------------------

inline constexpr int kPanelCols = 32;

// c[m, 0..cols) = a[m, :] . panel + (accumulate ? c : 0). Panels hold 32 columns, unused ones zero.
// f32: panel[k][32]; bf16: panel[k / 2][32][2], k even. a and c are row-major with strides.
struct GemmPanelF32Args {
  const float* a;
  int64_t a_stride;
  const float* panel;
  int64_t k, tokens;
  float* c;
  int64_t c_stride;
  int cols;  // 1..32
  bool accumulate;
};
struct GemmPanelBf16Args {
  const uint16_t* a;
  int64_t a_stride;
  const uint16_t* panel;
  int64_t k, tokens;
  float* c;
  int64_t c_stride;
  int cols;
  bool accumulate;
};

// The product of prompts and of training: many rows, several panels. Its operands and its sums lie
// in blocks of 32 x 32, so that what is read again stays in the caches and nothing is read across
// pages: blocks[rows / 32][depth / 32][32][32] of activations, sums[rows / 32][panels][32][32].
inline constexpr int64_t kBlockRows = 32;

// Rounds up to 32 rows to bf16, with zeros past the last row and column.
struct BlocksFromRowsArgs {
  const float* x;
  int64_t x_stride;
  int64_t rows, cols;  // rows <= 32
  uint16_t* blocks;    // [cols / 32 up][32][32], aligned to 64 bytes
};

// sums (+)= blocks . panels, for `rows` rows; what the last block has below them may hold anything.
struct GemmBlocksBf16Args {
  const uint16_t* blocks;
  const uint16_t* panels;  // [count][depth / 2][32][2]
  int64_t depth;           // a multiple of 32
  int64_t rows, count;
  float* sums;  // aligned to 64 bytes, as blocks and panels
  bool accumulate;
};

// y (+)= the sums of the first `cols` columns.
struct RowsFromSumsArgs {
  const float* sums;
  int64_t rows, cols;
  float* y;
  int64_t y_stride;
  bool accumulate;
};

// 32 rows of a packed weight from `row` (a multiple of 16) on as the columns of a bf16 panel, with
// zeros for those past the last: panel[depth / 2][32][2] of the weight's columns [k, k + depth).
// k is a multiple of 256, depth of 32.
struct PanelFromPackedArgs {
  PackedWeight w;
  int64_t row, k, depth;
  uint16_t* panel;  // aligned to 64 bytes
};

// The same weight the other way, for gradients: columns [col, col + cols) of its rows
// [row, row + depth), zero past the last, as panels[cols / 32][depth / 2][32][2]. row is a multiple
// of 16 and depth even; col is a multiple of 256 and cols of 32.
struct PanelsFromPackedTransposedArgs {
  PackedWeight w;
  int64_t row, depth, col, cols;
  uint16_t* panels;  // aligned to 64 bytes
};

// Rows as the panels of their columns: panels[cols / 32 up][depth / 2][32][2], panel_stride values
// apart, zero past the last row and column.
struct PanelsFromRowsTransposedArgs {
  const float* x;
  int64_t x_stride;
  int64_t rows, cols;
  int64_t depth;  // even, >= rows
  uint16_t* panels;
  int64_t panel_stride;  // >= 32 * depth
};

// A block of 32 x 32 values as 32 rows of a panel: panel[16][32][2], aligned to 64 bytes as the
// block. What was rounded once is summed over its rows, as gradients of factors are.
struct PanelFromBlockArgs {
  const uint16_t* block;
  uint16_t* panel;
};

// y[r] = x . w[r] for rows of F32, F16 or BF16 weights.
struct GemvDenseArgs {
  Format format;
  const void* w;
  int64_t row_stride_bytes;
  int64_t rows, cols;
  const float* x;
  float* y;
};

// ---- attention over cached keys and values -----------------------------------------------------

inline constexpr int kKvPageTokens = 64;

enum class KvType : uint8_t { kF32, kF16, kQ8_0 };

// A page holds the keys and values of 64 tokens, of each head in the form of kv_page.h. head_dim is
// even, for kQ8_0 a multiple of 32.
//
// One token's key and value of one head, into their parts of the page.
struct WriteKvArgs {
  KvType type;
  int64_t head_dim;
  int64_t token;   // of the page
  const float* k;  // [head_dim]
  const float* v;
  void* keys;
  void* values;
};

// Queries of one sequence against one head of its keys and values. Pages that no row sees are never
// touched and may be nullptr; tokens that no row sees may hold anything. A row that sees no key
// gives zeros. Query r sees keys [first[r], last[r]); softmax(scale * q . k) . v with an online
// softmax in f32. softcap > 0: scores become softcap * tanh(score / softcap).
struct AttendArgs {
  KvType type;
  int64_t head_dim;
  // Page p holds tokens 64p .. 64p + 63, the head's keys and values so many bytes into it.
  const uint8_t* const* pages;
  int64_t key_offset, value_offset;
  const float* const* q;  // [rows] pointers to head_dim floats
  float* const* out;      // [rows] pointers to head_dim floats
  const int64_t* first;   // [rows]
  const int64_t* last;    // [rows], ascending
  int64_t rows;
  float scale, softcap;
  // Restricts keys to [split_begin, split_end) and leaves out unnormalised, with the row's maximum
  // and sum in partial[2 * r], partial[2 * r + 1] (-inf and 0 where it sees none); nullptr for the
  // whole in one go.
  int64_t split_begin, split_end;
  float* partial;
  float* scratch;  // attend_scratch_floats(rows, head_dim)
  // Whether queries, keys, weights and values may be rounded to bf16 where that is faster.
  bool bf16;
};
int64_t attend_scratch_floats(int64_t rows, int64_t head_dim);

// ---- rows --------------------------------------------------------------------------------------

struct RopeArgs {
  float* x;  // one token: [heads][head_dim], in place
  int64_t heads, head_dim;
  int64_t rotary_dim;  // <= head_dim, even
  const float* cos;    // [rotary_dim / 2]
  const float* sin;    // [rotary_dim / 2]; negate for the inverse rotation
  bool adjacent;       // pairs (2i, 2i + 1) as GGUF llama; else (i, i + rotary_dim / 2)
};

struct AdamWArgs {
  float* parameter;
  const float* gradient;
  float* m;
  float* v;
  int64_t n;
  float rate, beta1, beta2, epsilon, weight_decay;
  float bias1, bias2;    // 1 - beta^step
  float gradient_scale;  // clipping
};

struct KernelTable {
  Isa isa;
  const char* name;  // "avx512-vnni-bf16"
  // Whether many tokens at once go through the bf16 panels rather than the integer product.
  bool prefill_in_bf16;
  // Whether products of many rows are faster with requantised weights than with them as they are.
  bool prefill_requantized;
  // Whether bf16 panels are made faster from the packed form than from the file's rows.
  bool fast_packed_panels;

  // integer products
  void (*quantize_rows)(const float* x, int64_t x_stride, int64_t rows, int64_t cols, Q8Rows out);
  // Bytes of a group of 16 rows, 0 where the format has no packed form.
  int64_t (*packed_group_bytes)(Format format, int64_t cols);
  // Packs rows (1..16) consecutive rows into one group; missing rows become zeros.
  void (*pack_rows)(Format format, const uint8_t* source, int64_t row_bytes, int rows, int64_t cols,
                    uint8_t* target);
  void (*gemm_packed)(const PackedGemmArgs& args);
  // Rounds rows (any number) to tiles.
  void (*q8_tiles_from_rows)(const float* x, int64_t x_stride, int64_t rows,
                             const Q8TileLayout& layout, uint8_t* tiles);
  void (*gemm_requantized)(const RequantizedGemmArgs& args);
  void (*panel_from_packed)(const PanelFromPackedArgs& args);
  void (*panels_from_packed_transposed)(const PanelsFromPackedTransposedArgs& args);

  // dense products
  void (*gemm_panel_f32)(const GemmPanelF32Args& args);
  void (*gemm_panel_bf16)(const GemmPanelBf16Args& args);
  void (*blocks_from_rows_bf16)(const BlocksFromRowsArgs& args);
  void (*gemm_blocks_bf16)(const GemmBlocksBf16Args& args);
  void (*rows_from_sums)(const RowsFromSumsArgs& args);
  void (*gemv_dense)(const GemvDenseArgs& args);
  // panel[k][32] from 32 rows of k floats (cols < 32: the rest zero); the bf16 twin rounds.
  void (*panel_from_rows_f32)(const float* rows, int64_t stride, int cols, int64_t k, float* panel);
  void (*panel_from_rows_bf16)(const float* rows, int64_t stride, int cols, int64_t k,
                               uint16_t* panel);
  void (*panels_from_rows_transposed)(const PanelsFromRowsTransposedArgs& args);
  void (*panel_from_block)(const PanelFromBlockArgs& args);
  // Decodes n elements of a weight row.
  void (*unpack)(Format format, const void* source, float* target, int64_t n);

  // attention
  void (*write_kv)(const WriteKvArgs& args);
  void (*attend)(const AttendArgs& args);

  // rows and elements; y may alias x
  float (*dot)(const float* a, const float* b, int64_t n);
  void (*axpy)(float alpha, const float* x, float* y, int64_t n);   // y += alpha x
  void (*scale)(float alpha, const float* x, float* y, int64_t n);  // y = alpha x
  void (*add)(const float* a, const float* b, float* y, int64_t n);
  void (*mul)(const float* a, const float* b, float* y, int64_t n);
  // y = x * rsqrt(mean(x^2) + epsilon) * w (Zhang and Sennrich 2019); returns the rsqrt factor.
  float (*rms_norm)(const float* x, const float* w, float epsilon, float* y, int64_t n);
  void (*rope)(const RopeArgs& args);
  void (*silu)(const float* x, float* y, int64_t n);
  // y = silu(gate) * up (Shazeer 2020)
  void (*swiglu)(const float* gate, const float* up, float* y, int64_t n);
  // d_gate, d_up from dy
  void (*swiglu_backward)(const float* gate, const float* up, const float* dy, float* d_gate,
                          float* d_up, int64_t n);
  float (*max)(const float* x, int64_t n);
  // y = exp(x - shift), returns the sum
  float (*exp_sum)(const float* x, float shift, float* y, int64_t n);
  void (*softmax)(const float* x, float scale, float* y, int64_t n);
  void (*adamw)(const AdamWArgs& args);

  // conversions
  void (*f32_to_f16)(const float* x, uint16_t* y, int64_t n);
  void (*f16_to_f32)(const uint16_t* x, float* y, int64_t n);
  void (*f32_to_bf16)(const float* x, uint16_t* y, int64_t n);
  void (*bf16_to_f32)(const uint16_t* x, float* y, int64_t n);
};

// The table of an instruction set, or nullptr when this CPU or this build lacks it.
const KernelTable* kernel_table(Isa isa);

// The fastest table this CPU runs.
const KernelTable& best_kernel_table();

// The table named as in ZHIYIN_ISA: ref, avx2, avx512, amx. Throws kUsage on an unknown name and
// kUnsupported, naming what the CPU lacks, on one that cannot run here.
const KernelTable& kernel_table_named(const char* name);

}  // namespace zhiyin
