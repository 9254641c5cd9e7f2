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

// One group of 16 rows from the unit at p, into its half of the panel.
template <Format kFormat>
void write_group(const uint8_t* p, int64_t depth, uint16_t* panel) {
  constexpr PackedLayout kLayout = packed_layout(kFormat);
  constexpr int kHalves = halves_of(kLayout);
  constexpr int kScales = kLayout.unit_blocks * kHalves;
  alignas(64) RowFloats scale[kScales], min[kScales];
  const int64_t blocks = depth / kQ8Block;
  for (int64_t block = 0; block < blocks; block += kLayout.unit_blocks) {
    unpack_head<Simd, kFormat>(p, scale, min);
    p += head_bytes(kLayout);
    for (int k = 0; k < kLayout.unit_blocks && block + k < blocks; ++k) {
      __m512i quads[8];
      unpack_codes<Simd, kFormat>(p, quads);
      p += block_bytes(kLayout);
      for (int h = 0; h < 2; ++h) {
        const int at = kHalves * k + h % kHalves;
        const __m512 row_scale = _mm512_load_ps(scale[at]);
        // The offset, a power of two or a sum of two, times the scale is exact.
        __m512 row_min =
            _mm512_mul_ps(row_scale, _mm512_set1_ps(-static_cast<float>(kLayout.offset)));
        if constexpr (kLayout.has_min) row_min = _mm512_load_ps(min[at]);
        for (int c = 0; c < 4; ++c) {
          write_quad(quads[4 * h + c], row_scale, row_min, panel);
          panel += 2 * kPanelRow;
        }
      }
    }
  }
}

}  // namespace

void panel_from_packed(const PanelFromPackedArgs& args) {
  for_packed_format(args.w.format, [&]<Format kFormat>() {
    constexpr PackedLayout kLayout = packed_layout(kFormat);
    constexpr int64_t kUnitBytes = head_bytes(kLayout) + kLayout.unit_blocks * block_bytes(kLayout);
    for (int64_t half = 0; half < kPanelCols; half += kPackRows) {
      const int64_t row = args.row + half;
      uint16_t* panel = args.panel + 2 * half;
      if (row >= args.w.rows) {
        for (int64_t k = 0; k < args.depth; k += 2) {
          _mm512_store_si512(panel + k * kPanelCols, _mm512_setzero_si512());
        }
        continue;
      }
      write_group<kFormat>(args.w.data + row / kPackRows * args.w.group_bytes +
                               args.k / (kLayout.unit_blocks * kQ8Block) * kUnitBytes,
                           args.depth, panel);
    }
  });
}

}  // namespace zhiyin::avx512
