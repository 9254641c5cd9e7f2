// The register tile behind every f32 product of the AVX-512 kernels.
#pragma once

#include "kernels/avx512/lanes.h"

namespace zhiyin::avx512 {
namespace {

// c[rows][cols] = a[rows][k] . b[k][cols] + (accumulate ? c : 0), row-major with strides. b is
// readable up to whole vectors; only cols columns of c are written.
struct Product {
  const float* a;
  int64_t a_stride;
  const float* b;
  int64_t b_stride;
  int64_t k;
  float* c;
  int64_t c_stride;
  int64_t cols;
  bool accumulate;
};

// One tile: kRows rows, and columns up to kVectors vectors. Each element is one chain of fused
// multiply-adds in the order of k, whatever the tile, so a row's result does not depend on how many
// rows come with it.
template <int kRows, int kVectors>
[[gnu::noinline]] void product_tile(const Product& p) {
  __m512 sum[kRows][kVectors];
#pragma GCC unroll 16
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v) sum[r][v] = _mm512_setzero_ps();
  }
  // Three rows a pointer: x86 addresses base + 0, 1 or 2 strides, and 16 pointers are too many.
  constexpr int kGroups = (kRows + 2) / 3;
  const float* a[kGroups];
#pragma GCC unroll 16
  for (int g = 0; g < kGroups; ++g) a[g] = p.a + 3 * g * p.a_stride;
  const float* b = p.b;
  for (int64_t i = 0; i < p.k; ++i) {
    __m512 row[kVectors];
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v) row[v] = _mm512_loadu_ps(b + v * kLanes);
#pragma GCC unroll 16
    for (int r = 0; r < kRows; ++r) {
      const __m512 x = _mm512_set1_ps(a[r / 3][r % 3 * p.a_stride + i]);
#pragma GCC unroll 4
      for (int v = 0; v < kVectors; ++v) sum[r][v] = _mm512_fmadd_ps(x, row[v], sum[r][v]);
    }
    b += p.b_stride;
  }
#pragma GCC unroll 16
  for (int r = 0; r < kRows; ++r) {
    float* c = p.c + r * p.c_stride;
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v) {
      const __mmask16 mask = first_lanes(p.cols - v * kLanes);
      __m512 value = sum[r][v];
      if (p.accumulate) value = _mm512_add_ps(value, load(c + v * kLanes, mask));
      store(c + v * kLanes, mask, value);
    }
  }
}

template <int kRows, int kVectors>
inline void product_tile_of(const Product& p, int64_t rows) {
  if (rows == kRows) {
    product_tile<kRows, kVectors>(p);
  } else if constexpr (kRows > 1) {
    product_tile_of<kRows - 1, kVectors>(p, rows);
  }
}

// All rows, in tiles of at most kRows and of nearly equal size: a tile of one row is slow.
template <int kRows, int kVectors>
inline void product_rows(Product p, int64_t rows) {
  for (int64_t tiles = (rows + kRows - 1) / kRows; tiles > 0; --tiles) {
    const int64_t count = (rows + tiles - 1) / tiles;
    product_tile_of<kRows, kVectors>(p, count);
    p.a += count * p.a_stride;
    p.c += count * p.c_stride;
    rows -= count;
  }
}

}  // namespace
}  // namespace zhiyin::avx512
