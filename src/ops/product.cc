#include "ops/product.h"

#include <algorithm>
#include <memory>
#include <vector>

namespace zhiyin {
namespace {

// Up to this many rows of x a frozen matrix is decoded row by row into dot products; beyond, the
// cost of panels is shared by enough rows.
constexpr int64_t kFewRows = 3;

int64_t round_up(int64_t n, int64_t step) { return (n + step - 1) / step * step; }

// Scratch of a thread, kept between calls.
float* scratch(size_t slot, int64_t floats) {
  thread_local std::vector<float> buffers[3];
  std::vector<float>& buffer = buffers[slot];
  if (buffer.size() < static_cast<size_t>(floats)) buffer.resize(static_cast<size_t>(floats));
  return buffer.data();
}

// Whether products with this matrix may round activations and weights to bf16: its own values have
// no more precision to lose, and the context is not asked to be exact.
bool use_bf16(const Context& context, const Matrix& m) {
  return context.precision() == Precision::kFast && m.frozen() &&
         m.weight().format() != Format::kF32;
}

// Decodes columns [begin, end) of row r.
void read_row(const Context& context, const Matrix& m, int64_t r, int64_t begin, int64_t end,
              float* target) {
  if (m.frozen()) {
    m.weight().unpack_row(context.kernels(), r, begin, end, target);
  } else {
    std::copy_n(m.tensor().row(r) + begin, end - begin, target);
  }
}

// x as bf16 rows of an even number of columns.
struct Bf16Rows {
  std::unique_ptr<uint16_t[]> data;
  int64_t stride;
};
Bf16Rows to_bf16(Context& context, const RowsView& x) {
  Bf16Rows out{nullptr, round_up(x.cols, 2)};
  out.data = std::make_unique_for_overwrite<uint16_t[]>(static_cast<size_t>(x.rows * out.stride));
  context.pool().parallel_for(x.rows, 16, [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) {
      uint16_t* target = out.data.get() + r * out.stride;
      context.kernels().f32_to_bf16(x.data + r * x.stride, target, x.cols);
      if (out.stride > x.cols) target[x.cols] = 0;
    }
  });
  return out;
}

// A block of 32 output columns, as the panel its product needs, times all rows of a.
struct PanelProduct {
  const KernelTable& kernels;
  const RowsView& a;     // f32 rows, or
  const Bf16Rows* bf16;  // their bf16 twin
  float* c;
  int64_t c_stride;
  bool accumulate;

  void run(const float* panel, int64_t column, int cols, int64_t row_begin, int64_t row_end) const {
    if (bf16 != nullptr) {
      kernels.gemm_panel_bf16({bf16->data.get() + row_begin * bf16->stride, bf16->stride,
                               reinterpret_cast<const uint16_t*>(panel), bf16->stride,
                               row_end - row_begin, c + row_begin * c_stride + column, c_stride,
                               cols, accumulate});
    } else {
      kernels.gemm_panel_f32({a.data + row_begin * a.stride, a.stride, panel, a.cols,
                              row_end - row_begin, c + row_begin * c_stride + column, c_stride,
                              cols, accumulate});
    }
  }
};

// Calls body(strip, row_begin, row_end) for all strips of output columns, and splits the rows too
// where the strips alone would not occupy the threads.
template <typename Body>
void for_strips(Context& context, int64_t strips, int64_t rows, const Body& body) {
  const int64_t threads = context.pool().threads();
  int64_t parts = 1;
  if (strips < 2 * threads) parts = std::clamp<int64_t>(rows / 32, 1, 2 * threads);
  const int64_t part = (rows + parts - 1) / parts;
  context.pool().parallel_for(strips * parts, 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const int64_t first = i % parts * part;
      if (first < rows) body(i / parts, first, std::min(rows, first + part));
    }
  });
}

void multiply_few_rows(Context& context, const RowsView& x, const Matrix& m, float* y,
                       int64_t y_stride) {
  const KernelTable& kernels = context.kernels();
  const int64_t grain = std::max<int64_t>(16, m.rows() / (context.pool().threads() * 8));
  const bool dense =
      m.frozen() && (m.weight().format() == Format::kF32 || m.weight().format() == Format::kF16 ||
                     m.weight().format() == Format::kBF16);
  context.pool().parallel_for(m.rows(), grain, [&](int64_t begin, int64_t end) {
    if (dense) {
      for (int64_t t = 0; t < x.rows; ++t) {
        kernels.gemv_dense({m.weight().format(), m.weight().row(begin), m.weight().row_bytes(),
                            end - begin, x.cols, x.data + t * x.stride, y + t * y_stride + begin});
      }
      return;
    }
    float* row = scratch(0, x.cols);
    for (int64_t n = begin; n < end; ++n) {
      read_row(context, m, n, 0, x.cols, row);
      for (int64_t t = 0; t < x.rows; ++t) {
        y[t * y_stride + n] = kernels.dot(x.data + t * x.stride, row, x.cols);
      }
    }
  });
}

}  // namespace

RowsView rows_view(const Tensor& x, Tensor& copy) {
  const int64_t stride = x.row_stride();
  if (stride >= 0) return {x.data(), x.rows(), x.dim(-1), stride};
  copy = x.contiguous_copy();
  return {copy.data(), x.rows(), x.dim(-1), x.dim(-1)};
}

void multiply(Context& context, const RowsView& x, const Matrix& m, float* y, int64_t y_stride) {
  if (x.rows <= kFewRows) {
    multiply_few_rows(context, x, m, y, y_stride);
    return;
  }
  const KernelTable& kernels = context.kernels();
  const bool bf16 = use_bf16(context, m);
  Bf16Rows rounded;
  if (bf16) rounded = to_bf16(context, x);
  const PanelProduct product{kernels, x, bf16 ? &rounded : nullptr, y, y_stride, false};
  const int64_t strips = (m.rows() + kPanelCols - 1) / kPanelCols;
  for_strips(context, strips, x.rows, [&](int64_t strip, int64_t row_begin, int64_t row_end) {
    const int64_t first = strip * kPanelCols;
    const int cols = static_cast<int>(std::min<int64_t>(kPanelCols, m.rows() - first));
    const int64_t k = bf16 ? rounded.stride : x.cols;
    float* rows = scratch(0, cols * k);
    for (int64_t i = 0; i < cols; ++i) {
      read_row(context, m, first + i, 0, x.cols, rows + i * k);
      if (k > x.cols) rows[i * k + x.cols] = 0;
    }
    float* panel = scratch(1, kPanelCols * k);
    if (bf16) {
      kernels.panel_from_rows_bf16(rows, k, cols, k, reinterpret_cast<uint16_t*>(panel));
    } else {
      kernels.panel_from_rows_f32(rows, k, cols, k, panel);
    }
    product.run(panel, first, cols, row_begin, row_end);
  });
}

void multiply_transposed(Context& context, const RowsView& dy, const Matrix& m, float* dx,
                         int64_t dx_stride, bool accumulate) {
  const KernelTable& kernels = context.kernels();
  const bool bf16 = use_bf16(context, m);
  Bf16Rows rounded;
  if (bf16) rounded = to_bf16(context, dy);
  const PanelProduct product{kernels, dy, bf16 ? &rounded : nullptr, dx, dx_stride, accumulate};
  // A strip is as wide as the blocks of the format, so that no block is decoded twice.
  const int64_t block = m.frozen() ? format_info(m.weight().format()).block : 1;
  const int64_t strip_cols = std::max<int64_t>(block, kPanelCols);
  const int64_t strips = (m.cols() + strip_cols - 1) / strip_cols;
  const int64_t n = dy.cols, padded = bf16 ? rounded.stride : n;
  for_strips(context, strips, dy.rows, [&](int64_t strip, int64_t row_begin, int64_t row_end) {
    const int64_t first = strip * strip_cols, end = std::min(m.cols(), first + strip_cols);
    const int64_t width = round_up(end - first, kPanelCols), panels = width / kPanelCols;
    float* panel = scratch(1, padded * kPanelCols * panels);
    float* pair = scratch(0, 2 * width);
    uint16_t* pair16 = reinterpret_cast<uint16_t*>(scratch(2, width));
    std::fill_n(pair, 2 * width, 0.0f);
    for (int64_t r = 0; r < padded; r += 2) {
      for (int64_t half = 0; half < 2 && r + half < padded; ++half) {
        float* row = pair + half * width;
        if (r + half < n) {
          read_row(context, m, r + half, first, end, row);
        } else {
          std::fill_n(row, end - first, 0.0f);
        }
        if (bf16) continue;
        for (int64_t p = 0; p < panels; ++p) {
          std::copy_n(row + p * kPanelCols, kPanelCols,
                      panel + (p * padded + r + half) * kPanelCols);
        }
      }
      if (!bf16) continue;
      kernels.f32_to_bf16(pair, pair16, 2 * width);
      for (int64_t p = 0; p < panels; ++p) {
        uint16_t* target = reinterpret_cast<uint16_t*>(panel) + (p * padded + r) * kPanelCols;
        const uint16_t* low = pair16 + p * kPanelCols;
        const uint16_t* high = low + width;
        for (int64_t c = 0; c < kPanelCols; ++c) {
          target[2 * c] = low[c];
          target[2 * c + 1] = high[c];
        }
      }
    }
    for (int64_t p = 0; p < panels; ++p) {
      const int64_t column = first + p * kPanelCols;
      const int cols = static_cast<int>(std::min<int64_t>(kPanelCols, end - column));
      const float* start = bf16 ? reinterpret_cast<const float*>(
                                      reinterpret_cast<uint16_t*>(panel) + p * padded * kPanelCols)
                                : panel + p * padded * kPanelCols;
      product.run(start, column, cols, row_begin, row_end);
    }
  });
}

void multiply_outer(Context& context, const RowsView& dy, const RowsView& x, float* dm,
                    bool accumulate) {
  const KernelTable& kernels = context.kernels();
  const int64_t tokens = dy.rows, n = dy.cols;
  if (n > x.cols) {
    // The narrower of both is transposed, and the panels of the wider are full.
    const auto flipped = std::make_unique_for_overwrite<float[]>(static_cast<size_t>(n * x.cols));
    multiply_outer(context, x, dy, flipped.get(), false);
    for (int64_t i = 0; i < n; ++i) {
      for (int64_t k = 0; k < x.cols; ++k) {
        const float value = flipped[static_cast<size_t>(k * n + i)];
        float& target = dm[i * x.cols + k];
        target = accumulate ? target + value : value;
      }
    }
    return;
  }
  const std::unique_ptr<float[]> transposed =
      std::make_unique_for_overwrite<float[]>(static_cast<size_t>(n * tokens));
  // In bands, so that the lines written to stay in the cache until they are full.
  constexpr int64_t kBand = 16;
  const int64_t grain = std::max<int64_t>(kBand, (int64_t{1} << 15) / tokens / kBand * kBand);
  context.pool().parallel_for(n, grain, [&](int64_t begin, int64_t end) {
    for (int64_t band = begin; band < end; band += kBand) {
      for (int64_t t = 0; t < tokens; ++t) {
        for (int64_t i = band; i < std::min(end, band + kBand); ++i) {
          transposed[static_cast<size_t>(i * tokens + t)] = dy.data[t * dy.stride + i];
        }
      }
    }
  });
  const RowsView a{transposed.get(), n, tokens, tokens};
  const PanelProduct product{kernels, a, nullptr, dm, x.cols, accumulate};
  const int64_t strips = (x.cols + kPanelCols - 1) / kPanelCols;
  for_strips(context, strips, n, [&](int64_t strip, int64_t row_begin, int64_t row_end) {
    const int64_t first = strip * kPanelCols;
    const int cols = static_cast<int>(std::min<int64_t>(kPanelCols, x.cols - first));
    float* panel = scratch(1, tokens * kPanelCols);
    for (int64_t t = 0; t < tokens; ++t) {
      float* row = panel + t * kPanelCols;
      std::copy_n(x.data + t * x.stride + first, cols, row);
      std::fill(row + cols, row + kPanelCols, 0.0f);
    }
    product.run(panel, first, cols, row_begin, row_end);
  });
}

}  // namespace zhiyin
