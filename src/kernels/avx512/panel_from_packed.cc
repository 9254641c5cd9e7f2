#include "kernels/avx512/kernels_avx512.h"
#include "kernels/avx512/packed_simd.h"

namespace zhiyin::avx512 {
namespace {

constexpr int64_t kPanelRow = 2 * kPanelCols;  // values of the panel for two columns of the weight

// Two columns of 16 rows side by side: lane r holds (first[r], second[r]).
ZY_INLINE __m512i interleave(__m512 first, __m512 second) {
  const __m512i halves = (__m512i)_mm512_cvtne2ps_pbh(second, first);
  const __m512i order = _mm512_set_epi16(31, 15, 30, 14, 29, 13, 28, 12, 27, 11, 26, 10, 25, 9, 24,
                                         8, 23, 7, 22, 6, 21, 5, 20, 4, 19, 3, 18, 2, 17, 1, 16, 0);
  return _mm512_permutexvar_epi16(order, halves);
}

// Four columns of 16 rows, into two rows of the panel.
ZY_INLINE void write_quad(__m512i codes, __m512 scale, __m512 min, uint16_t* panel) {
  const __m512i byte = _mm512_set1_epi32(255);
  const auto weight = [&](__m512i code) {
    return _mm512_fmadd_ps(_mm512_cvtepi32_ps(code), scale, min);
  };
  const __m512 w0 = weight(_mm512_and_si512(codes, byte));
  const __m512 w1 = weight(_mm512_and_si512(_mm512_srli_epi32(codes, 8), byte));
  const __m512 w2 = weight(_mm512_and_si512(_mm512_srli_epi32(codes, 16), byte));
  const __m512 w3 = weight(_mm512_srli_epi32(codes, 24));
  _mm512_store_si512(panel, interleave(w0, w1));
  _mm512_store_si512(panel + kPanelRow, interleave(w2, w3));
}

// Where the unit with column col (the first of a unit) of the group with row `row` begins.
template <Format kFormat>
ZY_INLINE const uint8_t* unit_at(const PackedWeight& w, int64_t row, int64_t col) {
  constexpr PackedLayout kLayout = packed_layout(kFormat);
  constexpr int64_t kUnitBytes = head_bytes(kLayout) + kLayout.unit_blocks * block_bytes(kLayout);
  return w.data + row / kPackRows * w.group_bytes +
         col / (kLayout.unit_blocks * kQ8Block) * kUnitBytes;
}

// Calls visit(block, quads, scale, min) for `blocks` blocks of a group from the unit at p:
// weight = scale[h] * code + min[h] for the columns of half h, row by row.
template <Format kFormat, typename Visit>
ZY_INLINE void for_blocks(const uint8_t* p, int64_t blocks, const Visit& visit) {
  constexpr PackedLayout kLayout = packed_layout(kFormat);
  constexpr int kHalves = halves_of(kLayout);
  constexpr int kScales = kLayout.unit_blocks * kHalves;
  alignas(64) RowFloats scale[kScales], min[kScales];
  for (int64_t first = 0; first < blocks; first += kLayout.unit_blocks) {
    unpack_head<Simd, kFormat>(p, scale, min);
    p += head_bytes(kLayout);
    if constexpr (!kLayout.has_min) {
      // The offset, a power of two, times the scale is exact.
      const __m512 offset = _mm512_set1_ps(-static_cast<float>(kLayout.offset));
      for (int i = 0; i < kScales; ++i) {
        _mm512_store_ps(min[i], _mm512_mul_ps(_mm512_load_ps(scale[i]), offset));
      }
    }
    for (int k = 0; k < kLayout.unit_blocks && first + k < blocks; ++k) {
      __m512i quads[8];
      unpack_codes<Simd, kFormat>(p, quads);
      p += block_bytes(kLayout);
      const int at = kHalves * k, other = at + kHalves - 1;
      const float* const scales[] = {scale[at], scale[other]};
      const float* const mins[] = {min[at], min[other]};
      visit(first + k, quads, scales, mins);
    }
  }
}

// One group of 16 rows from the unit at p, into its half of the panel.
template <Format kFormat>
void write_group(const uint8_t* p, int64_t depth, uint16_t* panel) {
  for_blocks<kFormat>(
      p, depth / kQ8Block,
      [&](int64_t, const __m512i* quads, const float* const* scale, const float* const* min) {
        for (int c = 0; c < 8; ++c) {
          write_quad(quads[c], _mm512_load_ps(scale[c / 4]), _mm512_load_ps(min[c / 4]), panel);
          panel += 2 * kPanelRow;
        }
      });
}

// The codes of a block's 16 rows and 32 columns, row after row.
struct BlockRows {
  alignas(64) uint8_t codes[kPackRows][kQ8Block];
};
ZY_INLINE void transpose_block(const __m512i quads[8], BlockRows& out) {
  alignas(64) int32_t words[8][kPackRows];  // words[q][r]: columns 4 q ... of row r
  for (int q = 0; q < 8; ++q) _mm512_store_si512(words[q], quads[q]);
  const __m256i steps = _mm256_setr_epi32(0, 16, 32, 48, 64, 80, 96, 112);
  for (int r = 0; r < kPackRows; ++r) {
    const __m256i row = _mm256_i32gather_epi32(words[0] + r, steps, 4);
    _mm256_store_si256(reinterpret_cast<__m256i*>(out.codes[r]), row);
  }
}

// Columns [16 h, 16 h + 16) of rows r and r + 1 of a block, side by side.
ZY_INLINE __m512i row_pair(const BlockRows& block, int r, int h, const float* scale,
                           const float* min) {
  const auto weights = [&](int row) {
    const __m128i codes =
        _mm_load_si128(reinterpret_cast<const __m128i*>(block.codes[row] + 16 * h));
    return _mm512_fmadd_ps(_mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(codes)),
                           _mm512_set1_ps(scale[row]), _mm512_set1_ps(min[row]));
  };
  return interleave(weights(r), weights(r + 1));
}

// Up to 16 rows from the unit at p; panels hold `depth` values of each column and begin with the
// first of these rows.
template <Format kFormat>
void write_rows(const uint8_t* p, int64_t rows, int64_t cols, int64_t depth, uint16_t* panels) {
  for_blocks<kFormat>(
      p, cols / kQ8Block,
      [&](int64_t block, const __m512i* quads, const float* const* scale, const float* const* min) {
        BlockRows codes;
        transpose_block(quads, codes);
        uint16_t* panel = panels + block * depth * kPanelCols;
        for (int r = 0; r < rows; r += 2) {
          for (int h = 0; h < 2; ++h) {
            _mm512_store_si512(panel + r * kPanelCols + 32 * h,
                               row_pair(codes, r, h, scale[h], min[h]));
          }
        }
      });
}

void clear_rows(int64_t rows, int64_t cols, int64_t depth, uint16_t* panels) {
  for (int64_t c = 0; c < cols; c += kPanelCols) {
    for (int64_t i = 0; i < rows * kPanelCols; i += kPanelCols) {
      _mm512_store_si512(panels + c * depth + i, _mm512_setzero_si512());
    }
  }
}

}  // namespace

void panels_from_packed_transposed(const PanelsFromPackedTransposedArgs& args) {
  for_packed_format(args.w.format, [&]<Format kFormat>() {
    for (int64_t r = 0; r < args.depth; r += kPackRows) {
      const int64_t rows = args.depth - r < kPackRows ? args.depth - r : kPackRows;
      if (args.row + r >= args.w.rows) {
        clear_rows(rows, args.cols, args.depth, args.panels + r * kPanelCols);
        continue;
      }
      write_rows<kFormat>(unit_at<kFormat>(args.w, args.row + r, args.col), rows, args.cols,
                          args.depth, args.panels + r * kPanelCols);
    }
  });
}

void panel_from_packed(const PanelFromPackedArgs& args) {
  for_packed_format(args.w.format, [&]<Format kFormat>() {
    for (int64_t half = 0; half < kPanelCols; half += kPackRows) {
      const int64_t row = args.row + half;
      uint16_t* panel = args.panel + 2 * half;
      if (row < args.w.rows) {
        write_group<kFormat>(unit_at<kFormat>(args.w, row, args.k), args.depth, panel);
        continue;
      }
      for (int64_t k = 0; k < args.depth; k += 2) {
        _mm512_store_si512(panel + k * kPanelCols, _mm512_setzero_si512());
      }
    }
  });
}

}  // namespace zhiyin::avx512
