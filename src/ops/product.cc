#include "ops/product.h"

#include <algorithm>
#include <memory>
#include <vector>

#include "ops/product_bf16.h"
#include "ops/product_parts.h"

namespace zhiyin {
namespace {

// In training up to this many rows of x are multiplied without panels; beyond, the cost of panels
// is shared by enough rows. Decoding does without up to kFewRows.
constexpr int64_t kFewTrainingRows = 3;

// Products in f32 are blocked as those of product_bf16.cc: a panel of kDepth x 32 weights in the L1
// cache, a block of kTokens x kDepth activations and the panels of a strip in L2. kDepth is a
// multiple of every format's block.
constexpr int64_t kDepth = 512, kTokens = 128;
constexpr int64_t kAllRows = int64_t{1} << 40;

// A block of k of all rows of a, times the panels of a strip of output columns.
struct PanelProduct {
  const KernelTable& kernels;
  const RowsView& a;
  float* c;
  int64_t c_stride;

  // panels[cols / 32 up][depth][32], of k from k_begin on; output columns [column, column + cols).
  void run(const float* panels, int64_t depth, int64_t k_begin, int64_t column, int64_t cols,
           int64_t row_begin, int64_t row_end, bool accumulate) const {
    for (int64_t t = row_begin; t < row_end; t += kTokens) {
      for (int64_t j = 0; j < cols; j += kPanelCols) {
        kernels.gemm_panel_f32(
            {a.data + t * a.stride + k_begin, a.stride, panels + j * depth, depth,
             std::min(kTokens, row_end - t), c + t * c_stride + column + j, c_stride,
             static_cast<int>(std::min<int64_t>(kPanelCols, cols - j)), accumulate});
      }
    }
  }
};

void multiply_few_rows(Context& context, const RowsView& x, const Matrix& m, float* y,
                       int64_t y_stride) {
  const KernelTable& kernels = context.kernels();
  const int64_t grain = std::max<int64_t>(16, m.rows() / (context.pool().threads() * 8));
  const bool dense =
      m.frozen() && (m.weight().format() == Format::kF32 || m.weight().format() == Format::kF16 ||
                     m.weight().format() == Format::kBF16);
  context.pool().parallel_for(m.rows(), grain, [&](int64_t begin, int64_t end) {
    if (dense) {
      // Weights that several rows of x take stay in the cache for them.
      const int64_t step = x.rows == 1 ? end - begin : 128;
      for (int64_t n = begin; n < end; n += step) {
        for (int64_t t = 0; t < x.rows; ++t) {
          kernels.gemv_dense({m.weight().format(), m.weight().row(n), m.weight().row_bytes(),
                              std::min(step, end - n), x.cols, x.data + t * x.stride,
                              y + t * y_stride + n});
        }
      }
      return;
    }
    float* row = scratch(Scratch::kRows, x.cols);
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

bool rounds_to_bf16(const Context& context, const Matrix& m) {
  return context.precision() == Precision::kFast && m.frozen() &&
         m.weight().format() != Format::kF32;
}

bool multiplies_integers(const Context& context, const Matrix& m, int64_t rows) {
  if (training() || context.precision() != Precision::kFast || !m.frozen()) return false;
  if (m.weight().packed() == nullptr) return false;
  return rows <= kFewRows || !context.kernels().prefill_in_bf16;
}

bool few_rows(int64_t rows) { return rows <= (training() ? kFewTrainingRows : kFewRows); }

float* scratch(Scratch slot, int64_t floats) {
  constexpr size_t kLineFloats = 16;
  thread_local std::vector<float> buffers[3];
  std::vector<float>& buffer = buffers[static_cast<size_t>(slot)];
  const size_t size = static_cast<size_t>(floats) + kLineFloats;
  if (buffer.size() < size) buffer.resize(size);
  void* start = buffer.data();
  size_t room = buffer.size() * sizeof(float);
  return static_cast<float*>(std::align(kLineFloats * sizeof(float),
                                        static_cast<size_t>(floats) * sizeof(float), start, room));
}

void read_row(const Context& context, const Matrix& m, int64_t r, int64_t begin, int64_t end,
              float* target) {
  if (m.frozen()) {
    m.weight().unpack_row(context.kernels(), r, begin, end, target);
  } else {
    std::copy_n(m.tensor().row(r) + begin, end - begin, target);
  }
}

void multiply(Context& context, const RowsView& x, const Matrix& m, float* y, int64_t y_stride) {
  if (few_rows(x.rows)) {
    multiply_few_rows(context, x, m, y, y_stride);
    return;
  }
  if (rounds_to_bf16(context, m)) {
    multiply_bf16(Bf16Rows(context, x), panels_of(context, m), m.rows(), y, y_stride, false);
    return;
  }
  const PanelProduct product{context.kernels(), x, y, y_stride};
  const int64_t strip_cols = strip_width(context, m.rows());
  const int64_t strips = (m.rows() + strip_cols - 1) / strip_cols;
  for_strips(context, strips, x.rows, kAllRows, [&](int64_t strip, int64_t begin, int64_t end) {
    const int64_t first = strip * strip_cols;
    const int64_t strip_end = std::min(m.rows(), first + strip_cols);
    for (int64_t k = 0; k < x.cols; k += kDepth) {
      const int64_t depth = std::min(x.cols - k, kDepth);
      float* panels = scratch(Scratch::kPanels, strip_cols * depth);
      for (int64_t n = first; n < strip_end; n += kPanelCols) {
        const int cols = static_cast<int>(std::min<int64_t>(kPanelCols, strip_end - n));
        float* rows = scratch(Scratch::kRows, kPanelCols * depth);
        for (int64_t i = 0; i < cols; ++i) {
          read_row(context, m, n + i, k, k + depth, rows + i * depth);
        }
        context.kernels().panel_from_rows_f32(rows, depth, cols, depth,
                                              panels + (n - first) * depth);
      }
      product.run(panels, depth, k, first, strip_end - first, begin, end, k > 0);
    }
  });
}

namespace {

// Columns [first, end) of rows [n, n + depth) as panels whose columns are those of the matrix.
void read_panels_transposed(const Context& context, const Matrix& m, int64_t n, int64_t depth,
                            int64_t first, int64_t end, float* panels) {
  float* row = scratch(Scratch::kRows, round_up(end - first, kPanelCols));
  std::fill_n(row, round_up(end - first, kPanelCols), 0.0f);
  for (int64_t r = 0; r < depth; ++r) {
    read_row(context, m, n + r, first, end, row);
    for (int64_t c = 0; c < end - first; c += kPanelCols) {
      std::copy_n(row + c, kPanelCols, panels + c * depth + r * kPanelCols);
    }
  }
}

}  // namespace

void multiply_transposed(Context& context, const RowsView& dy, const Matrix& m, float* dx,
                         int64_t dx_stride, bool accumulate) {
  if (rounds_to_bf16(context, m)) {
    multiply_bf16(Bf16Rows(context, dy), transposed_panels_of(context, m), m.cols(), dx, dx_stride,
                  accumulate);
    return;
  }
  const PanelProduct product{context.kernels(), dy, dx, dx_stride};
  // A strip is as wide as the blocks of the format, so that no block is decoded twice.
  const int64_t strip_cols =
      std::max<int64_t>(m.frozen() ? format_info(m.weight().format()).block : 1, kPanelCols);
  const int64_t strips = (m.cols() + strip_cols - 1) / strip_cols;
  for_strips(context, strips, dy.rows, kAllRows, [&](int64_t strip, int64_t begin, int64_t end) {
    const int64_t first = strip * strip_cols, last = std::min(m.cols(), first + strip_cols);
    for (int64_t n = 0; n < dy.cols; n += kDepth) {
      const int64_t depth = std::min(kDepth, dy.cols - n);
      float* panels = scratch(Scratch::kPanels, round_up(last - first, kPanelCols) * depth);
      read_panels_transposed(context, m, n, depth, first, last, panels);
      product.run(panels, depth, n, first, last - first, begin, end, accumulate || n > 0);
    }
  });
}

void multiply_outer(Context& context, const RowsView& dy, const RowsView& x, float* dm,
                    bool accumulate, bool bf16) {
  const int64_t tokens = dy.rows, n = dy.cols;
  if (n > x.cols) {
    // The narrower of both is transposed, and the panels of the wider are full.
    const auto flipped = std::make_unique_for_overwrite<float[]>(static_cast<size_t>(n * x.cols));
    multiply_outer(context, x, dy, flipped.get(), false, bf16);
    context.pool().parallel_for(n, 512, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        for (int64_t k = 0; k < x.cols; ++k) {
          const float value = flipped[static_cast<size_t>(k * n + i)];
          float& target = dm[i * x.cols + k];
          target = accumulate ? target + value : value;
        }
      }
    });
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
  if (bf16) {
    multiply_bf16(Bf16Rows(context, a), row_panels_of(context, x), x.cols, dm, x.cols, accumulate);
    return;
  }
  const PanelProduct product{context.kernels(), a, dm, x.cols};
  const int64_t strips = (x.cols + kPanelCols - 1) / kPanelCols;
  for_strips(context, strips, n, kAllRows, [&](int64_t strip, int64_t begin, int64_t end) {
    const int64_t first = strip * kPanelCols;
    const int cols = static_cast<int>(std::min<int64_t>(kPanelCols, x.cols - first));
    float* panel = scratch(Scratch::kPanels, tokens * kPanelCols);
    for (int64_t t = 0; t < tokens; ++t) {
      float* row = panel + t * kPanelCols;
      std::copy_n(x.data + t * x.stride + first, cols, row);
      std::fill(row + cols, row + kPanelCols, 0.0f);
    }
    product.run(panel, tokens, 0, first, cols, begin, end, accumulate);
  });
}

}  // namespace zhiyin
