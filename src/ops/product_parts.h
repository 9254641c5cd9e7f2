// What the products of this folder share: scratch, rows of a matrix, and the split over threads.
#pragma once

#include <algorithm>
#include <cstdint>

#include "ops/product.h"

namespace zhiyin {

inline int64_t round_up(int64_t n, int64_t step) { return (n + step - 1) / step * step; }

// Scratch of a thread, kept between calls, from the start of a cache line on: a vector that lies
// across two lines costs two loads.
enum class Scratch : uint8_t { kRows, kPanels, kSums };
float* scratch(Scratch slot, int64_t floats);

// Decodes columns [begin, end) of row r.
void read_row(const Context& context, const Matrix& m, int64_t r, int64_t begin, int64_t end,
              float* target);

// Columns of a product that are computed together: the panels of a strip stay in the second-level
// cache, and there are several strips a thread, so that threads end together.
inline constexpr int64_t kStripPanels = 8;
inline int64_t strip_width(Context& context, int64_t cols) {
  const int64_t panels = (cols + kPanelCols - 1) / kPanelCols;
  return kPanelCols * std::clamp<int64_t>(panels / (4 * context.pool().threads()), 1, kStripPanels);
}

// Calls body(strip, row_begin, row_end) for all strips of output columns, and splits the rows too
// where there are more than `most_rows` (a multiple of 32) or the strips alone would not occupy the
// threads.
template <typename Body>
void for_strips(Context& context, int64_t strips, int64_t rows, int64_t most_rows,
                const Body& body) {
  const int64_t threads = context.pool().threads();
  int64_t parts = 1;
  if (strips < 2 * threads) parts = std::clamp<int64_t>(rows / 32, 1, 2 * threads);
  parts = std::max(parts, (rows + most_rows - 1) / most_rows);
  // Kernels compute rows in groups, and a row's rounding depends on its group: groups must be the
  // same whatever the number of threads.
  const int64_t part = round_up((rows + parts - 1) / parts, 32);
  context.pool().parallel_for(strips * parts, 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const int64_t first = i % parts * part;
      if (first < rows) body(i / parts, first, std::min(rows, first + part));
    }
  });
}

}  // namespace zhiyin
