#include "kernels/avx512/interleave.h"
#include "kernels/avx512/kernels_avx512.h"
#include "kernels/avx512/packed_simd.h"

namespace zhiyin::avx512 {
namespace {

constexpr int64_t kPanelRow = 2 * kPanelCols;  // values of the panel for two columns of the weight

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

// Of a group's columns, a multiple of a unit's.
template <Format kFormat>
ZY_INLINE int64_t bytes_of(int64_t cols) {
  constexpr PackedLayout kLayout = packed_layout(kFormat);
  constexpr int64_t kUnitBytes = head_bytes(kLayout) + kLayout.unit_blocks * block_bytes(kLayout);
  return cols / (kLayout.unit_blocks * kQ8Block) * kUnitBytes;
}

// Where the unit with column col (the first of a unit) of the group with row `row` begins.
template <Format kFormat>
ZY_INLINE const uint8_t* unit_at(const PackedWeight& w, int64_t row, int64_t col) {
  return w.data + row / kPackRows * w.group_bytes + bytes_of<kFormat>(col);
}

// Brings bytes into the second-level cache.
template <int kBytes>
ZY_INLINE void prefetch(const uint8_t* p) {
  for (int i = 0; i < kBytes; i += 64) __builtin_prefetch(p + i, 0, 2);
}

// Calls visit(block, quads, scale, min) for `blocks` blocks of a group from the unit at p:
// weight = scale[h] * code + min[h] for the columns of half h, row by row. What the next panels are
// made of lies `ahead` bytes further on and comes nearer meanwhile.
template <Format kFormat, typename Visit>
ZY_INLINE void for_blocks(const uint8_t* p, int64_t blocks, int64_t ahead, const Visit& visit) {
  constexpr PackedLayout kLayout = packed_layout(kFormat);
  constexpr int kHalves = halves_of(kLayout);
  constexpr int kScales = kLayout.unit_blocks * kHalves;
  alignas(64) RowFloats scale[kScales], min[kScales];
  for (int64_t first = 0; first < blocks; first += kLayout.unit_blocks) {
    unpack_head<Simd, kFormat>(p, scale, min);
    prefetch<head_bytes(kLayout)>(p + ahead);
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
      prefetch<block_bytes(kLayout)>(p + ahead);
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
      p, depth / kQ8Block, bytes_of<kFormat>(depth),
      [&](int64_t, const __m512i* quads, const float* const* scale, const float* const* min) {
        for (int c = 0; c < 8; ++c) {
          write_quad(quads[c], _mm512_load_ps(scale[c / 4]), _mm512_load_ps(min[c / 4]), panel);
          panel += 2 * kPanelRow;
        }
      });
}

// A block's 16 rows and 16 of its columns, quads of four, as pairs of rows: out[p] has rows 2 p and
// 2 p + 1 of the columns, side by side.
ZY_INLINE void row_pairs(const __m512i quads[4], const float* scale, const float* min,
                         __m512i out[8]) {
  const __m512i byte = _mm512_set1_epi32(255);
  const __m512 scales = _mm512_load_ps(scale), mins = _mm512_load_ps(min);
  const auto weight = [&](__m512i code) {
    return _mm512_fmadd_ps(_mm512_cvtepi32_ps(code), scales, mins);
  };
  // Two columns side by side as pairs of rows: from column after column to pair after pair.
  const auto columns = [&](__m512 first, __m512 second) {
    const __m512i order = _mm512_setr_epi32(0, 8, 1, 9, 2, 10, 3, 11, 4, 12, 5, 13, 6, 14, 7, 15);
    return _mm512_permutexvar_epi32(order, (__m512i)_mm512_cvtne2ps_pbh(second, first));
  };
  __m512i u[8];
  for (int q = 0; q < 4; ++q) {
    const __m512i codes = quads[q];
    u[2 * q] = columns(weight(_mm512_and_si512(codes, byte)),
                       weight(_mm512_and_si512(_mm512_srli_epi32(codes, 8), byte)));
    u[2 * q + 1] = columns(weight(_mm512_and_si512(_mm512_srli_epi32(codes, 16), byte)),
                           weight(_mm512_srli_epi32(codes, 24)));
  }
  // The transpose of 8 x 8 of their quarter-lanes.
  __m512i even[4], odd[4];
  for (int k = 0; k < 4; ++k) {
    even[k] = _mm512_unpacklo_epi64(u[2 * k], u[2 * k + 1]);
    odd[k] = _mm512_unpackhi_epi64(u[2 * k], u[2 * k + 1]);
  }
  const auto lanes = [](const __m512i t[4], __m512i& l0, __m512i& l1, __m512i& l2, __m512i& l3) {
    const __m512i a = _mm512_shuffle_i64x2(t[0], t[1], 0x88);
    const __m512i b = _mm512_shuffle_i64x2(t[0], t[1], 0xdd);
    const __m512i c = _mm512_shuffle_i64x2(t[2], t[3], 0x88);
    const __m512i d = _mm512_shuffle_i64x2(t[2], t[3], 0xdd);
    l0 = _mm512_shuffle_i64x2(a, c, 0x88);
    l2 = _mm512_shuffle_i64x2(a, c, 0xdd);
    l1 = _mm512_shuffle_i64x2(b, d, 0x88);
    l3 = _mm512_shuffle_i64x2(b, d, 0xdd);
  };
  lanes(even, out[0], out[2], out[4], out[6]);
  lanes(odd, out[1], out[3], out[5], out[7]);
}

// Up to 16 rows from the unit at p; panels hold `depth` values of each column and begin with the
// first of these rows.
template <Format kFormat>
void write_rows(const uint8_t* p, int64_t rows, int64_t cols, int64_t depth, int64_t ahead,
                uint16_t* panels) {
  for_blocks<kFormat>(
      p, cols / kQ8Block, ahead,
      [&](int64_t block, const __m512i* quads, const float* const* scale, const float* const* min) {
        uint16_t* panel = panels + block * depth * kPanelCols;
        for (int h = 0; h < 2; ++h) {
          __m512i pairs[8];
          row_pairs(quads + 4 * h, scale[h], min[h], pairs);
          for (int r = 0; r < rows; r += 2) {
            _mm512_store_si512(panel + r * kPanelCols + 32 * h, pairs[r / 2]);
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
                          args.depth, args.depth / kPackRows * args.w.group_bytes,
                          args.panels + r * kPanelCols);
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
