#include <cassert>

#include "kernels/avx512/kernels_avx512.h"
#include "kernels/avx512/lanes.h"

namespace zhiyin::avx512 {
namespace {

template <Format kFormat>
inline __m512 load_stored(const uint8_t* row, int64_t i, __mmask16 mask) {
  if constexpr (kFormat == Format::kF32) {
    return _mm512_maskz_loadu_ps(mask, row + i * 4);
  } else {
    const __m256i bits = _mm256_maskz_loadu_epi16(mask, row + i * 2);
    if constexpr (kFormat == Format::kF16) return _mm512_cvtph_ps(bits);
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(bits), 16));
  }
}

// kRows rows at once share the loads of x. Every row has the same two sums however many rows come
// with it.
template <Format kFormat, int kRows>
inline void dot_rows(const GemvDenseArgs& args, int64_t first) {
  const uint8_t* w = static_cast<const uint8_t*>(args.w) + first * args.row_stride_bytes;
  __m512 sum[kRows][2];
#pragma GCC unroll 4
  for (int r = 0; r < kRows; ++r) sum[r][0] = sum[r][1] = _mm512_setzero_ps();
  const auto step = [&](int s, int64_t i, __mmask16 mask) {
    const __m512 x = load(args.x + i, mask);
#pragma GCC unroll 4
    for (int r = 0; r < kRows; ++r) {
      const __m512 stored = load_stored<kFormat>(w + r * args.row_stride_bytes, i, mask);
      sum[r][s] = _mm512_fmadd_ps(stored, x, sum[r][s]);
    }
  };
  int64_t i = 0;
  for (; i + 2 * kLanes <= args.cols; i += 2 * kLanes) {
    step(0, i, kAllLanes);
    step(1, i + kLanes, kAllLanes);
  }
  if (i < args.cols) step(0, i, first_lanes(args.cols - i));
  if (i + kLanes < args.cols) step(1, i + kLanes, first_lanes(args.cols - i - kLanes));
#pragma GCC unroll 4
  for (int r = 0; r < kRows; ++r) {
    args.y[first + r] = sum_lanes(_mm512_add_ps(sum[r][0], sum[r][1]));
  }
}

template <Format kFormat>
void all_rows(const GemvDenseArgs& args) {
  int64_t r = 0;
  for (; r + 4 <= args.rows; r += 4) dot_rows<kFormat, 4>(args, r);
  for (; r < args.rows; ++r) dot_rows<kFormat, 1>(args, r);
}

}  // namespace

void gemv_dense(const GemvDenseArgs& args) {
  switch (args.format) {
    case Format::kF32:
      return all_rows<Format::kF32>(args);
    case Format::kF16:
      return all_rows<Format::kF16>(args);
    case Format::kBF16:
      return all_rows<Format::kBF16>(args);
    default:
      assert(false && "gemv_dense takes F32, F16, BF16");
  }
}

}  // namespace zhiyin::avx512
