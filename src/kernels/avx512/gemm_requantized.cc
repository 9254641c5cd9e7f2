#include "kernels/avx512/kernels_avx512.h"
#include "kernels/avx512/packed_simd.h"
#include "kernels/requantized.h"

namespace zhiyin::avx512 {
namespace {

constexpr int kTokens = kQ8TileTokens;
constexpr int kRows = 2 * kPackRows;  // of a tile of sums: two vectors
constexpr int kWindowBlocks = kQ8Window / kQ8Block;
constexpr int kSpanBlocks = 8;  // whole units of every format
constexpr int64_t kSpanCols = kSpanBlocks * kQ8Block;

// Where the part of `size` that begins at `at` ends, `all` being the end of all parts.
constexpr int64_t end_of(int64_t at, int64_t size, int64_t all) {
  return all - at < size ? all : at + size;
}

// Tiles whose activations of a chunk of columns (half a megabyte) stay in the second-level cache
// while all rows pass.
constexpr int kBatchTiles = 42;
constexpr int64_t kChunkCols = 2048;

// 32 rows in 8 bits, window by window: weight = step * code + low. They stay in the first-level
// cache while the tiles pass.
constexpr int kPanelWindows = 1024 / kQ8Window;
struct Window {
  alignas(64) uint8_t codes[kQ8Window / 4][2][kPackVector];
  alignas(64) float step[kRows];
  alignas(64) float low[kRows];
};

// Codes as unpack_codes gives them to levels of 8 bits, level = (code * factor + start) / 256, for
// the rows of a group.
template <int kBits>
struct Levels {
  __m512i factor, start;  // twice in 16 bits a row

  ZY_INLINE Levels(__m512 ratio, __m512 first)
      : factor(twice(_mm512_mul_ps(ratio, _mm512_set1_ps(requantize_factor(kBits))))),
        start(twice(_mm512_fmadd_ps(first, _mm512_set1_ps(256.0f), _mm512_set1_ps(128.0f)))) {}

  ZY_INLINE __m512i of(__m512i codes) const {
    const __m512i high_byte = _mm512_set1_epi16(static_cast<short>(0xFF00));
    __m512i even, odd;
    if constexpr (kBits <= 5) {
      even = _mm512_mullo_epi16(_mm512_andnot_si512(high_byte, codes), factor);
      odd = _mm512_mullo_epi16(_mm512_srli_epi16(codes, 8), factor);
    } else {
      // Without the offset, at the top of 16 bits: of the product the high half is exact enough.
      const __m512i sign = _mm512_set1_epi16(static_cast<short>(0x8000));
      even = _mm512_xor_si512(_mm512_slli_epi16(codes, 16 - kBits), sign);
      odd = _mm512_slli_epi16(_mm512_and_si512(codes, high_byte), 8 - kBits);
      odd = _mm512_xor_si512(odd, sign);
      even = _mm512_mulhrs_epi16(even, factor);
      odd = _mm512_mulhrs_epi16(odd, factor);
    }
    even = _mm512_srli_epi16(_mm512_add_epi16(even, start), 8);
    odd = _mm512_add_epi16(odd, start);
    return _mm512_ternarylogic_epi32(even, odd, high_byte, 0xF8);  // even | (odd & high_byte)
  }

 private:
  ZY_INLINE static __m512i twice(__m512 value) {
    const __m512i low = _mm512_and_si512(_mm512_cvtps_epi32(value), _mm512_set1_epi32(0xFFFF));
    return _mm512_or_si512(low, _mm512_slli_epi32(low, 16));
  }
};

// `blocks` blocks of a group (a span at most), from the unit at p, into the vectors `at` (0 or 1)
// of the windows.
template <Format kFormat>
void requantize(const uint8_t* p, int blocks, int at, Window* windows) {
  constexpr PackedLayout kLayout = packed_layout(kFormat);
  constexpr int kHalves = halves_of(kLayout);
  constexpr int kBits = dot_bits(kLayout);
  constexpr int kUnit = kLayout.unit_blocks;
  constexpr int kUnitBytes = head_bytes(kLayout) + kUnit * block_bytes(kLayout);
  alignas(64) RowFloats scale[kSpanBlocks * kHalves], min[kSpanBlocks * kHalves];
  for (int b = 0; b < blocks; b += kUnit) {
    unpack_head<Simd, kFormat>(p + b / kUnit * kUnitBytes, scale + b * kHalves, min + b * kHalves);
  }
  const auto value_of_zero = [&](int h) {
    if constexpr (kLayout.has_min) return _mm512_load_ps(min[h]);
    return _mm512_mul_ps(_mm512_load_ps(scale[h]),
                         _mm512_set1_ps(-static_cast<float>(kLayout.offset)));
  };
  for (int begin = 0; begin < blocks; begin += kWindowBlocks) {
    const auto end = static_cast<int>(end_of(begin, kWindowBlocks, blocks));
    Window& window = windows[begin / kWindowBlocks];
    __m512 low = value_of_zero(begin * kHalves), high = low;
    for (int h = begin * kHalves; h < end * kHalves; ++h) {
      const __m512 first = value_of_zero(h);
      const __m512 last =
          _mm512_fmadd_ps(_mm512_load_ps(scale[h]), _mm512_set1_ps((1 << kBits) - 1), first);
      low = _mm512_min_ps(low, _mm512_min_ps(first, last));
      high = _mm512_max_ps(high, _mm512_max_ps(first, last));
    }
    const __m512 range = _mm512_sub_ps(high, low);
    const __mmask16 some = _mm512_cmp_ps_mask(range, _mm512_set1_ps(kRequantizeTiny), _CMP_GT_OQ);
    const __m512 levels = _mm512_set1_ps(requantize_levels(kBits));
    const __m512 inverse = _mm512_maskz_div_ps(some, levels, range);
    _mm512_store_ps(window.step + kPackRows * at, _mm512_div_ps(range, levels));
    _mm512_store_ps(window.low + kPackRows * at, low);
    for (int b = begin; b < end; ++b) {
      if (b % kUnit == 0) p += head_bytes(kLayout);
      __m512i quads[8];
      unpack_codes<Simd, kFormat>(p, quads);
      p += block_bytes(kLayout);
      for (int h = 0; h < kHalves; ++h) {
        const int i = b * kHalves + h;
        const __m512 start = kBits <= 5 ? value_of_zero(i) : _mm512_setzero_ps();
        const Levels<kBits> to(_mm512_mul_ps(_mm512_load_ps(scale[i]), inverse),
                               _mm512_mul_ps(_mm512_sub_ps(start, low), inverse));
#pragma GCC unroll 8
        for (int c = 8 / kHalves * h; c < 8 / kHalves * (h + 1); ++c) {
          _mm512_store_si512(window.codes[8 * (b - begin) + c][at], to.of(quads[c]));
        }
      }
    }
  }
}

// A window of a tile.
struct Activations {
  const uint8_t* q;
  const uint8_t* low;
  const float* scales;
  const float* sums;

  ZY_INLINE Activations(const uint8_t* tile, const Q8TileLayout& layout, int64_t col)
      : q(tile + layout.q_at(col)),
        low(tile + layout.low_at(col)),
        scales(reinterpret_cast<const float*>(tile + layout.scales_at(col))),
        sums(reinterpret_cast<const float*>(tile + layout.sums_at(col))) {}
};

// dots[v][t] += a block of the vector v of rows times that of token t.
ZY_INLINE void add_dots(const uint8_t* codes, const uint8_t* q, __m512i (&dots)[2][kTokens]) {
#pragma GCC unroll 8
  for (int c = 0; c < 8; ++c) {
    const __m512i w0 = _mm512_load_si512(codes + (2 * c) * kPackVector);
    const __m512i w1 = _mm512_load_si512(codes + (2 * c + 1) * kPackVector);
#pragma GCC unroll 8
    for (int t = 0; t < kTokens; ++t) {
      int32_t quad;
      __builtin_memcpy(&quad, q + 4 * (c * kTokens + t), sizeof(quad));
      const __m512i x = _mm512_set1_epi32(quad);
      dots[0][t] = _mm512_dpbusd_epi32(dots[0][t], w0, x);
      dots[1][t] = _mm512_dpbusd_epi32(dots[1][t], w1, x);
    }
  }
}

// y[v][t] += the vector v of a window's rows times the activations of token t.
template <bool kFine>
ZY_INLINE void multiply_window(const Window& window, int blocks, Activations x,
                               __m512 (&y)[2][kTokens]) {
  __m512 totals[2][kTokens] = {};
  const uint8_t* codes = window.codes[0][0];
  for (int b = 0; b < blocks; ++b) {
    __m512i dots[2][kTokens] = {};
    add_dots(codes, x.q, dots);
    if constexpr (kFine) {
#pragma GCC unroll 8
      for (int t = 0; t < kTokens; ++t) {
        dots[0][t] = _mm512_slli_epi32(dots[0][t], 8);
        dots[1][t] = _mm512_slli_epi32(dots[1][t], 8);
      }
      add_dots(codes, x.low, dots);
      x.low += kQ8Block * kTokens;
    }
    codes += 16 * kPackVector;
    x.q += kQ8Block * kTokens;
#pragma GCC unroll 8
    for (int t = 0; t < kTokens; ++t) {
      const __m512 scale = _mm512_set1_ps(x.scales[t]);
      totals[0][t] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(dots[0][t]), scale, totals[0][t]);
      totals[1][t] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(dots[1][t]), scale, totals[1][t]);
    }
    x.scales += kTokens;
  }
  for (int v = 0; v < 2; ++v) {
    const __m512 step = _mm512_load_ps(window.step + kPackRows * v);
    const __m512 low = _mm512_load_ps(window.low + kPackRows * v);
#pragma GCC unroll 8
    for (int t = 0; t < kTokens; ++t) {
      const __m512 sum = _mm512_fmadd_ps(low, _mm512_set1_ps(x.sums[t]), y[v][t]);
      y[v][t] = _mm512_fmadd_ps(totals[v][t], step, sum);
    }
  }
}

// Adds the product of a panel's windows and a tile to y; writes it where the columns begin.
template <bool kFine>
ZY_INLINE void multiply_tile(const RequantizedGemmArgs& args, int64_t index, int64_t row,
                             const Window* panel, int64_t begin, int64_t end) {
  const Q8TileLayout layout{args.w.cols, kFine};
  const uint8_t* tile = args.tiles + index * layout.bytes();
  const int64_t token = index * kTokens, rows = args.row_end - row;
  const int tokens =
      args.tokens - token < kTokens ? static_cast<int>(args.tokens - token) : kTokens;
  float* target = args.y + token * args.y_stride + row;
  for (int t = 0; t < tokens; ++t) {
    __builtin_prefetch(target + t * args.y_stride, 1);
    __builtin_prefetch(target + t * args.y_stride + kPackRows, 1);
  }
  __m512 y[2][kTokens] = {};
  for (int64_t col = begin; col < end; col += kQ8Window) {
    const auto blocks = static_cast<int>((end_of(col, kQ8Window, end) - col) / kQ8Block);
    multiply_window<kFine>(*panel++, blocks, Activations(tile, layout, col), y);
  }
  for (int v = 0; v < 2; ++v) {
    const __mmask16 mask = Simd::row_mask(rows - kPackRows * v);
    for (int t = 0; t < tokens; ++t) {
      float* to = target + t * args.y_stride + kPackRows * v;
      const __m512 before = begin == 0 ? __m512{} : _mm512_maskz_loadu_ps(mask, to);
      _mm512_mask_storeu_ps(to, mask, _mm512_add_ps(before, y[v][t]));
    }
  }
}

template <Format kFormat, bool kFine>
void multiply(const RequantizedGemmArgs& args) {
  constexpr PackedLayout kLayout = packed_layout(kFormat);
  constexpr int64_t kSpanBytes = kSpanBlocks / kLayout.unit_blocks *
                                 (head_bytes(kLayout) + kLayout.unit_blocks * block_bytes(kLayout));
  const int64_t cols = args.w.cols;
  Window panel[kPanelWindows];
  const int64_t tiles = (args.tokens + kTokens - 1) / kTokens;
  for (int64_t begin = 0; begin < tiles; begin += kBatchTiles) {
    const int64_t end = end_of(begin, kBatchTiles, tiles);
    for (int64_t chunk = 0; chunk < cols; chunk += kChunkCols) {
      const int64_t chunk_end = end_of(chunk, kChunkCols, cols);
      for (int64_t row = args.row_begin; row < args.row_end; row += kRows) {
        const int64_t rows = args.row_end - row;
        const uint8_t* weights = args.w.data + row / kPackRows * args.w.group_bytes;
        // The rows of a missing second group are computed as those of the first, and not stored.
        const int64_t other = rows > kPackRows ? args.w.group_bytes : 0;
        for (int64_t col = chunk; col < chunk_end; col += kPanelWindows * kQ8Window) {
          const int64_t col_end = end_of(col, kPanelWindows * kQ8Window, chunk_end);
          for (int64_t at = col; at < col_end; at += kSpanCols) {
            const auto blocks = static_cast<int>((end_of(at, kSpanCols, col_end) - at) / kQ8Block);
            const uint8_t* p = weights + at / kSpanCols * kSpanBytes;
            Window* windows = panel + (at - col) / kQ8Window;
            requantize<kFormat>(p, blocks, 0, windows);
            requantize<kFormat>(p + other, blocks, 1, windows);
          }
          for (int64_t i = begin; i < end; ++i) {
            multiply_tile<kFine>(args, i, row, panel, col, col_end);
          }
        }
      }
    }
  }
}

}  // namespace

void gemm_requantized(const RequantizedGemmArgs& args) {
  for_packed_format(args.w.format, [&]<Format kFormat>() {
    args.fine ? multiply<kFormat, true>(args) : multiply<kFormat, false>(args);
  });
}

}  // namespace zhiyin::avx512
