#include "ops/product.h"

#include <algorithm>
#include <memory>
#include <vector>

namespace zhiyin {
namespace {

// In training up to this many rows of x are multiplied without panels; beyond, the cost of panels
// is shared by enough rows. Decoding does without up to kFewRows.
constexpr int64_t kFewTrainingRows = 3;

int64_t round_up(int64_t n, int64_t step) { return (n + step - 1) / step * step; }

// Scratch of a thread, kept between calls, from the start of a cache line on: a vector that lies
// across two lines costs two loads.
float* scratch(size_t slot, int64_t floats) {
  constexpr size_t kLineFloats = 16;
  thread_local std::vector<float> buffers[3];
  std::vector<float>& buffer = buffers[slot];
  const size_t size = static_cast<size_t>(floats) + kLineFloats;
  if (buffer.size() < size) buffer.resize(size);
  void* start = buffer.data();
  size_t room = buffer.size() * sizeof(float);
  return static_cast<float*>(std::align(kLineFloats * sizeof(float),
                                        static_cast<size_t>(floats) * sizeof(float), start, room));
}

// Whether products with this matrix may round activations and weights to bf16: its own values have
// no more precision to lose, and the context is not asked to be exact.
bool use_bf16(const Context& context, const Matrix& m) {
  return context.precision() == Precision::kFast && m.frozen() &&
         m.weight().format() != Format::kF32;
}

// The packed form to make panels from, or nullptr where the rows are to be read. Where there is one
// it is what stays in memory; the rows of a mapped file would come back beside it.
const PackedWeight* packed_for_panels(const Context& context, const Matrix& m, bool bf16) {
  return bf16 && context.kernels().fast_packed_panels ? m.weight().packed() : nullptr;
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

// x as bf16 rows, with a zero after an odd number of columns.
struct Bf16Rows {
  Tensor storage;
  uint16_t* data;  // at the start of a cache line
  int64_t stride;  // a multiple of 32
};
Bf16Rows to_bf16(Context& context, const RowsView& x) {
  // An odd number of cache lines a row: else the rows that a kernel reads side by side share few
  // sets of the cache and push each other out.
  constexpr int64_t kLine = 32;
  Bf16Rows out;
  out.stride = (round_up(x.cols, kLine) / kLine | 1) * kLine;
  out.storage = Tensor::empty(context, {x.rows, out.stride / 2});
  out.data = reinterpret_cast<uint16_t*>(out.storage.data());
  context.pool().parallel_for(x.rows, 16, [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) {
      uint16_t* target = out.data + r * out.stride;
      context.kernels().f32_to_bf16(x.data + r * x.stride, target, x.cols);
      if (x.cols % 2 != 0) target[x.cols] = 0;
    }
  });
  return out;
}

// Products are blocked so that what is read again stays close (Goto and van de Geijn 2008): a panel
// of kDepth x 32 weights in the L1 cache, a block of kTokens x kDepth activations and the panels of
// a strip in L2. kDepth is a multiple of every format's block.
constexpr int64_t kDepth = 512, kTokens = 128;
constexpr int64_t kStripPanels = 8;

// Panels of kDepth x 32 values of one operand, for a strip of output columns; f32 or bf16 values.
struct StripPanels {
  float* data;
  int64_t depth;  // of k, even for bf16
  bool bf16;

  float* panel(int64_t p) const {
    const int64_t offset = p * depth * kPanelCols;
    return bf16 ? reinterpret_cast<float*>(reinterpret_cast<uint16_t*>(data) + offset)
                : data + offset;
  }
  uint16_t* panel16(int64_t p) const { return reinterpret_cast<uint16_t*>(panel(p)); }
};

// A block of k of all rows of a, times the panels of a strip of output columns.
struct PanelProduct {
  const KernelTable& kernels;
  const RowsView& a;     // f32 rows, or
  const Bf16Rows* bf16;  // their bf16 twin
  float* c;
  int64_t c_stride;

  // k from k_begin on, as many as the panels are deep; output columns [column, column + cols).
  void run(const StripPanels& strip, int64_t k_begin, int64_t column, int64_t cols,
           int64_t row_begin, int64_t row_end, bool accumulate) const {
    for (int64_t t = row_begin; t < row_end; t += kTokens) {
      const int64_t tokens = std::min(kTokens, row_end - t);
      for (int64_t j = 0; j < cols; j += kPanelCols) {
        const int width = static_cast<int>(std::min<int64_t>(kPanelCols, cols - j));
        float* target = c + t * c_stride + column + j;
        if (bf16 != nullptr) {
          kernels.gemm_panel_bf16({bf16->data + t * bf16->stride + k_begin, bf16->stride,
                                   strip.panel16(j / kPanelCols), strip.depth, tokens, target,
                                   c_stride, width, accumulate});
        } else {
          kernels.gemm_panel_f32({a.data + t * a.stride + k_begin, a.stride,
                                  strip.panel(j / kPanelCols), strip.depth, tokens, target,
                                  c_stride, width, accumulate});
        }
      }
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
  if (x.rows <= (training() ? kFewTrainingRows : kFewRows)) {
    multiply_few_rows(context, x, m, y, y_stride);
    return;
  }
  const KernelTable& kernels = context.kernels();
  const bool bf16 = use_bf16(context, m);
  Bf16Rows rounded;
  if (bf16) rounded = to_bf16(context, x);
  const PanelProduct product{kernels, x, bf16 ? &rounded : nullptr, y, y_stride};
  const PackedWeight* packed = packed_for_panels(context, m, bf16);
  // Several strips a thread, so that threads end together.
  const int64_t all_panels = (m.rows() + kPanelCols - 1) / kPanelCols;
  const int64_t strip_cols =
      kPanelCols *
      std::clamp<int64_t>(all_panels / (4 * context.pool().threads()), 1, kStripPanels);
  const int64_t strips = (m.rows() + strip_cols - 1) / strip_cols;
  for_strips(context, strips, x.rows, [&](int64_t strip, int64_t row_begin, int64_t row_end) {
    const int64_t first = strip * strip_cols;
    const int64_t strip_end = std::min(m.rows(), first + strip_cols);
    for (int64_t k = 0; k < x.cols; k += kDepth) {
      const int64_t end = std::min(x.cols, k + kDepth);
      const int64_t depth = bf16 ? round_up(end - k, 2) : end - k;
      const StripPanels panels{scratch(1, strip_cols * depth), depth, bf16};
      for (int64_t n = first; n < strip_end; n += kPanelCols) {
        const int64_t p = (n - first) / kPanelCols;
        if (packed != nullptr) {
          kernels.panel_from_packed({*packed, n, k, depth, panels.panel16(p)});
          continue;
        }
        const int cols = static_cast<int>(std::min<int64_t>(kPanelCols, strip_end - n));
        float* rows = scratch(0, kPanelCols * depth);
        for (int64_t i = 0; i < cols; ++i) {
          read_row(context, m, n + i, k, end, rows + i * depth);
          if (depth > end - k) rows[i * depth + depth - 1] = 0;
        }
        if (bf16) {
          kernels.panel_from_rows_bf16(rows, depth, cols, depth, panels.panel16(p));
        } else {
          kernels.panel_from_rows_f32(rows, depth, cols, depth, panels.panel(p));
        }
      }
      product.run(panels, k, first, strip_end - first, row_begin, row_end, k > 0);
    }
  });
}

namespace {

// Columns [first, end) of rows [n, n + filled) as panels whose columns are those of the matrix.
void read_panels_transposed(const Context& context, const Matrix& m, int64_t n, int64_t filled,
                            int64_t first, int64_t end, const StripPanels& panels) {
  const KernelTable& kernels = context.kernels();
  const int64_t width = round_up(end - first, kPanelCols), count = width / kPanelCols;
  float* pair = scratch(0, 2 * width);
  uint16_t* pair16 = reinterpret_cast<uint16_t*>(scratch(2, width));
  std::fill_n(pair, 2 * width, 0.0f);
  for (int64_t r = 0; r < panels.depth; r += 2) {
    for (int64_t half = 0; half < 2 && r + half < panels.depth; ++half) {
      float* row = pair + half * width;
      if (r + half < filled) {
        read_row(context, m, n + r + half, first, end, row);
      } else {
        std::fill_n(row, end - first, 0.0f);
      }
      if (panels.bf16) continue;
      for (int64_t p = 0; p < count; ++p) {
        std::copy_n(row + p * kPanelCols, kPanelCols, panels.panel(p) + (r + half) * kPanelCols);
      }
    }
    if (!panels.bf16) continue;
    kernels.f32_to_bf16(pair, pair16, 2 * width);
    for (int64_t p = 0; p < count; ++p) {
      uint16_t* target = panels.panel16(p) + r * kPanelCols;
      const uint16_t* low = pair16 + p * kPanelCols;
      const uint16_t* high = low + width;
      for (int64_t c = 0; c < kPanelCols; ++c) {
        target[2 * c] = low[c];
        target[2 * c + 1] = high[c];
      }
    }
  }
}

}  // namespace

void multiply_transposed(Context& context, const RowsView& dy, const Matrix& m, float* dx,
                         int64_t dx_stride, bool accumulate) {
  const KernelTable& kernels = context.kernels();
  const bool bf16 = use_bf16(context, m);
  Bf16Rows rounded;
  if (bf16) rounded = to_bf16(context, dy);
  const PanelProduct product{kernels, dy, bf16 ? &rounded : nullptr, dx, dx_stride};
  const PackedWeight* packed = packed_for_panels(context, m, bf16);
  // A strip is as wide as the blocks of the format, so that no block is decoded twice.
  const int64_t block = m.frozen() ? format_info(m.weight().format()).block : 1;
  const int64_t strip_cols =
      packed != nullptr ? kStripPanels * kPanelCols : std::max<int64_t>(block, kPanelCols);
  const int64_t strips = (m.cols() + strip_cols - 1) / strip_cols;
  for_strips(context, strips, dy.rows, [&](int64_t strip, int64_t row_begin, int64_t row_end) {
    const int64_t first = strip * strip_cols, end = std::min(m.cols(), first + strip_cols);
    const int64_t width = round_up(end - first, kPanelCols);
    for (int64_t n = 0; n < dy.cols; n += kDepth) {
      const int64_t filled = std::min(kDepth, dy.cols - n);
      const StripPanels panels{scratch(1, kDepth * width), bf16 ? round_up(filled, 2) : filled,
                               bf16};
      if (packed != nullptr) {
        kernels.panels_from_packed_transposed(
            {*packed, n, panels.depth, first, end - first, panels.panel16(0)});
      } else {
        read_panels_transposed(context, m, n, filled, first, end, panels);
      }
      product.run(panels, n, first, end - first, row_begin, row_end, accumulate || n > 0);
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
  const PanelProduct product{kernels, a, nullptr, dm, x.cols};
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
    product.run({panel, tokens, false}, 0, first, cols, row_begin, row_end, accumulate);
  });
}

}  // namespace zhiyin
