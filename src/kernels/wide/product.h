// Dense products: the register tile behind every f32 product, panels, and rows of dense weights.
#pragma once

#include <cassert>

#include "kernels/kernels.h"
#include "kernels/wide/math.h"

namespace zhiyin::wide {
namespace {

// c[rows][cols] = a[rows][k] . b[k][cols] + (accumulate ? c : 0), row-major with strides. Only cols
// columns of c are written. b is given as a cursor.
struct Product {
  const float* a;
  int64_t a_stride;
  int64_t k;
  float* c;
  int64_t c_stride;
  int64_t cols;
  bool accumulate;
};

// A cursor stands at a row of b: load(v) gives its v-th vector of columns, next() goes to the row
// below, skip(n) to the column n further on. This one is of floats that are readable up to whole
// vectors.
template <typename L>
struct DenseCursor {
  const float* row;
  int64_t stride;

  typename L::Vec load(int v) const { return L::load(row + v * L::kCount, {}); }
  void next() { row += stride; }
  void skip(int64_t cols) { row += cols; }
};

template <typename L>
[[gnu::always_inline]] inline void store_sum(typename L::Vec sum, float* c, auto part,
                                             bool accumulate) {
  L::store(c, part, accumulate ? L::add(L::load(c, part), sum) : sum);
}

// kRows rows and up to kVectors vectors of columns. Each element is one chain of fused
// multiply-adds in the order of k, whatever the tile, so a row's result does not depend on how many
// rows come with it.
template <typename L, int kRows, int kVectors, typename Cursor>
[[gnu::noinline]] void product_tile(const Product& p, Cursor b) {
  typename L::Vec sum[kRows][kVectors];
#pragma GCC unroll 16
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v) sum[r][v] = L::set(0);
  }
  // Three rows a pointer: x86 addresses base + 0, 1 or 2 strides, and 16 pointers are too many.
  constexpr int kGroups = (kRows + 2) / 3;
  const float* a[kGroups];
#pragma GCC unroll 16
  for (int g = 0; g < kGroups; ++g) a[g] = p.a + 3 * g * p.a_stride;
  for (int64_t i = 0; i < p.k; ++i) {
    typename L::Vec row[kVectors];
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v) row[v] = b.load(v);
#pragma GCC unroll 16
    for (int r = 0; r < kRows; ++r) {
      const typename L::Vec x = L::set(a[r / 3][r % 3 * p.a_stride + i]);
#pragma GCC unroll 4
      for (int v = 0; v < kVectors; ++v) sum[r][v] = L::fmadd(x, row[v], sum[r][v]);
    }
    b.next();
  }
#pragma GCC unroll 16
  for (int r = 0; r < kRows; ++r) {
    float* c = p.c + r * p.c_stride;
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v) {
      const int64_t cols = p.cols - v * L::kCount;
      float* target = c + v * L::kCount;
      if (cols >= L::kCount) {
        store_sum<L>(sum[r][v], target, typename L::All{}, p.accumulate);
      } else if (cols > 0) {
        store_sum<L>(sum[r][v], target, typename L::Some(cols), p.accumulate);
      }
    }
  }
}

template <typename L, int kRows, int kVectors, typename Cursor>
void product_tile_of(const Product& p, const Cursor& b, int64_t rows) {
  if (rows == kRows) {
    product_tile<L, kRows, kVectors>(p, b);
  } else if constexpr (kRows > 1) {
    product_tile_of<L, kRows - 1, kVectors>(p, b, rows);
  }
}

// All rows of up to kVectors vectors of columns, in tiles of at most kRows and of nearly equal
// size: a tile of one row is slow.
template <typename L, int kRows, int kVectors, typename Cursor>
void product_rows(Product p, const Cursor& b, int64_t rows) {
  for (int64_t tiles = (rows + kRows - 1) / kRows; tiles > 0; --tiles) {
    const int64_t count = (rows + tiles - 1) / tiles;
    product_tile_of<L, kRows, kVectors>(p, b, count);
    p.a += count * p.a_stride;
    p.c += count * p.c_stride;
    rows -= count;
  }
}

// All columns, kVectors vectors at a time and then the rest.
template <typename L, int kRows, int kVectors, typename Cursor>
void product_cols(Product p, Cursor b, int64_t rows) {
  constexpr int64_t kCols = kVectors * L::kCount;
  for (; p.cols > kCols - L::kCount; p.cols -= kCols) {
    product_rows<L, kRows, kVectors>(p, b, rows);
    b.skip(kCols);
    p.c += kCols;
  }
  if constexpr (kVectors > 1) {
    if (p.cols > 0) product_cols<L, kRows, kVectors - 1>(p, b, rows);
  }
}

// Few rows take tiles four vectors wide: one row alone has four sums in flight.
template <typename L>
void product(const Product& p, const DenseCursor<L>& b, int64_t rows) {
  if (rows <= L::kWideTileRows) {
    product_cols<L, L::kWideTileRows, 4>(p, b, rows);
  } else {
    product_cols<L, L::kTileRows, 2>(p, b, rows);
  }
}

// A cursor that with every row of b asks for kStep bytes of what is read next: many requests at
// once would wait for each other. Into the second level of caches, as the first has little room.
template <typename Cursor, int64_t kStep>
struct AskingCursor {
  Cursor cursor;
  const uint8_t* ahead;

  auto load(int v) const { return cursor.load(v); }
  void next() {
    cursor.next();
#pragma GCC unroll 4
    for (int64_t i = 0; i < kStep; i += 64) __builtin_prefetch(ahead + i, 0, 2);
    ahead += kStep;
  }
};

// The same for one tile of rows and cols that are whole tiles, from a cursor that takes time to
// load: every vector of b is loaded once. The tile is one for up to `tile_rows` rows, of which
// there are `rows`. Meanwhile as many bytes from `ahead` on as b has are asked for.
template <typename L>
int64_t one_tile_cols(int64_t tile_rows) {
  return (tile_rows <= L::kWideTileRows ? 4 : 2) * L::kCount;
}
template <typename L, int kRows, int kVectors, typename Cursor>
void product_asking(Product p, Cursor b, int64_t rows, const uint8_t* ahead) {
  constexpr int64_t kCols = kVectors * L::kCount;
  constexpr int64_t kStep = kCols * Cursor::kBytes;
  for (; p.cols > 0; p.cols -= kCols) {
    product_tile_of<L, kRows, kVectors>(p, AskingCursor<Cursor, kStep>{b, ahead}, rows);
    b.skip(kCols);
    p.c += kCols;
    ahead += p.k * kStep;
  }
}
template <typename L, typename Cursor>
void product_of_one_tile(const Product& p, const Cursor& b, int64_t rows, int64_t tile_rows,
                         const uint8_t* ahead) {
  assert(rows <= tile_rows && tile_rows <= L::kTileRows &&
         p.cols % one_tile_cols<L>(tile_rows) == 0);
  if (tile_rows <= L::kWideTileRows) {
    product_asking<L, L::kWideTileRows, 4>(p, b, rows, ahead);
  } else {
    product_asking<L, L::kTileRows, 2>(p, b, rows, ahead);
  }
}

template <typename L>
void gemm_panel_f32(const GemmPanelF32Args& args) {
  const Product p = {
      .a = args.a,
      .a_stride = args.a_stride,
      .k = args.k,
      .c = args.c,
      .c_stride = args.c_stride,
      .cols = args.cols,
      .accumulate = args.accumulate,
  };
  product_cols<L, L::kTileRows, 2>(p, DenseCursor<L>{args.panel, kPanelCols}, args.tokens);
}

template <typename L>
void panel_from_rows_f32(const float* rows, int64_t stride, int cols, int64_t k, float* panel) {
  for_lanes<L>(k, [&](int64_t i, auto part) {
    for (int64_t j = 0; j < kPanelCols; j += L::kCount) {
      typename L::Vec block[L::kCount];
      for (int64_t r = 0; r < L::kCount; ++r) {
        block[r] = j + r < cols ? L::load(rows + (j + r) * stride + i, part) : L::set(0);
      }
      L::transpose(block);
      for (int64_t r = 0; r < L::kCount && i + r < k; ++r) {
        L::store(panel + (i + r) * kPanelCols + j, {}, block[r]);
      }
    }
  });
}

template <typename L>
void panel_from_rows_bf16(const float* rows, int64_t stride, int cols, int64_t k, uint16_t* panel) {
  assert(k % 2 == 0);
  for (int64_t i = 0; i < k; i += 2 * L::kCount) {
    for (int64_t j = 0; j < kPanelCols; j += L::kCount) {
      typename L::Vec block[L::kCount];  // pairs of bfloat16
      for (int64_t r = 0; r < L::kCount; ++r) {
        block[r] =
            j + r < cols ? L::load_as_bf16_pairs(rows + (j + r) * stride + i, k - i) : L::set(0);
      }
      L::transpose(block);
      for (int64_t r = 0; r < L::kCount && i + 2 * r < k; ++r) {
        L::store_bits(panel + (i + 2 * r) * kPanelCols + 2 * j, block[r]);
      }
    }
  }
}

template <typename L, Format kFormat>
[[gnu::always_inline]] inline typename L::Vec load_stored(const uint8_t* row, int64_t i,
                                                          auto part) {
  if constexpr (kFormat == Format::kF32) {
    return L::load(row + 4 * i, part);
  } else if constexpr (kFormat == Format::kF16) {
    return L::load_f16(row + 2 * i, part);
  } else {
    return L::load_bf16(row + 2 * i, part);
  }
}

// kRows rows, `apart` rows from each other, share the loads of x. Every row has the same two sums
// however many rows come with it.
template <typename L, Format kFormat, int kRows>
void dot_rows(const GemvDenseArgs& args, int64_t first, int64_t apart) {
  const int64_t stride = apart * args.row_stride_bytes;
  const uint8_t* w = static_cast<const uint8_t*>(args.w) + first * args.row_stride_bytes;
  typename L::Vec sum[kRows][2];
#pragma GCC unroll 4
  for (int r = 0; r < kRows; ++r) sum[r][0] = sum[r][1] = L::set(0);
  const auto step = [&](int s, int64_t i, auto part) {
    const typename L::Vec x = L::load(args.x + i, part);
#pragma GCC unroll 4
    for (int r = 0; r < kRows; ++r) {
      sum[r][s] = L::fmadd(load_stored<L, kFormat>(w + r * stride, i, part), x, sum[r][s]);
    }
  };
  int64_t i = 0;
  for (; i + 2 * L::kCount <= args.cols; i += 2 * L::kCount) {
    step(0, i, typename L::All{});
    step(1, i + L::kCount, typename L::All{});
  }
  for_lanes<L>(args.cols - i, [&](int64_t j, auto part) { step(0, i + j, part); });
#pragma GCC unroll 4
  for (int r = 0; r < kRows; ++r) {
    args.y[first + r * apart] = L::sum_of(L::add(sum[r][0], sum[r][1]));
  }
}

// Four quarters of the matrix side by side: each is one stream of memory, which the hardware
// prefetches; neighbouring rows read together take twice as long.
template <typename L, Format kFormat>
void dot_all_rows(const GemvDenseArgs& args) {
  const int64_t quarter = args.rows / 4;
  for (int64_t r = 0; r < quarter; ++r) dot_rows<L, kFormat, 4>(args, r, quarter);
  for (int64_t r = 4 * quarter; r < args.rows; ++r) dot_rows<L, kFormat, 1>(args, r, 1);
}

template <typename L>
void gemv_dense(const GemvDenseArgs& args) {
  switch (args.format) {
    case Format::kF32:
      return dot_all_rows<L, Format::kF32>(args);
    case Format::kF16:
      return dot_all_rows<L, Format::kF16>(args);
    case Format::kBF16:
      return dot_all_rows<L, Format::kBF16>(args);
    default:
      assert(false && "gemv_dense takes F32, F16, BF16");
  }
}

}  // namespace
}  // namespace zhiyin::wide
