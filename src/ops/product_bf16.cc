#include "ops/product_bf16.h"

#include <utility>

#include "ops/product_parts.h"

namespace zhiyin {
namespace {

// Products are blocked so that what is read again stays close (Goto and van de Geijn 2008): 32 rows
// x kDepth activations and a panel in the L1 cache, the panels of a strip and the sums of
// kMostBlockedRows rows in L2. kDepth is a multiple of every format's block.
constexpr int64_t kDepth = Bf16Rows::kDepth;

// The packed form to make panels from, or nullptr where the rows are to be read. Where there is one
// it is what stays in memory; the rows of a mapped file would come back beside it.
const PackedWeight* packed_for_panels(const Context& context, const Matrix& m) {
  return m.frozen() && context.kernels().fast_packed_panels ? m.weight().packed() : nullptr;
}

// Panels of a matrix whose rows are the columns of the product.
void write_panels(const Context& context, const Matrix& m, int64_t k, int64_t depth, int64_t column,
                  int64_t cols, uint16_t* panels) {
  const KernelTable& kernels = context.kernels();
  const PackedWeight* packed = packed_for_panels(context, m);
  const int64_t end = std::min(m.cols(), k + depth);
  for (int64_t n = column; n < column + cols; n += kPanelCols, panels += depth * kPanelCols) {
    if (packed != nullptr) {
      kernels.panel_from_packed({*packed, n, k, depth, panels});
      continue;
    }
    const int64_t count = std::min<int64_t>(kPanelCols, column + cols - n);
    float* rows = scratch(Scratch::kRows, kPanelCols * depth);
    for (int64_t i = 0; i < count; ++i) {
      read_row(context, m, n + i, k, end, rows + i * depth);
      std::fill(rows + i * depth + (end - k), rows + (i + 1) * depth, 0.0f);
    }
    kernels.panel_from_rows_bf16(rows, depth, static_cast<int>(count), depth, panels);
  }
}

void write_row_panels(const KernelTable& kernels, const RowsView& x, int64_t k, int64_t depth,
                      int64_t column, int64_t cols, uint16_t* panels) {
  kernels.panels_from_rows_transposed({x.data + k * x.stride + column, x.stride,
                                       std::min(depth, x.rows - k), cols, depth, panels,
                                       depth * kPanelCols});
}

void write_transposed_panels(const Context& context, const Matrix& m, int64_t k, int64_t depth,
                             int64_t column, int64_t cols, uint16_t* panels) {
  const KernelTable& kernels = context.kernels();
  const int64_t width = round_up(cols, kPanelCols);
  if (const PackedWeight* packed = packed_for_panels(context, m)) {
    kernels.panels_from_packed_transposed({*packed, k, depth, column, width, panels});
    return;
  }
  if (!m.frozen()) {
    write_row_panels(kernels, {m.tensor().data(), m.rows(), m.cols(), m.cols()}, k, depth, column,
                     cols, panels);
    return;
  }
  float* pair = scratch(Scratch::kRows, 2 * cols);
  for (int64_t r = 0; r < depth; r += 2) {
    const int64_t rows = std::clamp<int64_t>(m.rows() - k - r, 0, 2);
    for (int64_t half = 0; half < rows; ++half) {
      read_row(context, m, k + r + half, column, column + cols, pair + half * cols);
    }
    kernels.panels_from_rows_transposed(
        {pair, cols, rows, cols, 2, panels + r * kPanelCols, depth * kPanelCols});
  }
}

}  // namespace

Bf16Rows::Bf16Rows(Context& context, int64_t rows, int64_t cols)
    : rows_(rows),
      cols_(cols),
      storage_(
          Tensor::empty(context, {round_up(rows, kBlockRows), round_up(cols, kPanelCols) / 2})) {}

Bf16Rows::Bf16Rows(Context& context, const RowsView& x) : Bf16Rows(context, x.rows, x.cols) {
  const int64_t columns = (cols_ + kDepth - 1) / kDepth;
  const int64_t parts = storage_.dim(0) / kBlockRows * columns;
  context.pool().parallel_for(parts, 4, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const int64_t row = i / columns * kBlockRows, k = i % columns * kDepth;
      context.kernels().blocks_from_rows_bf16({x.data + row * x.stride + k, x.stride,
                                               std::min(kBlockRows, rows_ - row),
                                               std::min(kDepth, cols_ - k), blocks(row, k)});
    }
  });
}

int64_t Bf16Rows::depth(int64_t k) const {
  return std::min(kDepth, round_up(cols_ - k, kPanelCols));
}

uint16_t* Bf16Rows::blocks(int64_t row, int64_t k) {
  return reinterpret_cast<uint16_t*>(storage_.data()) + k * storage_.dim(0) + row * depth(k);
}

const uint16_t* Bf16Rows::blocks(int64_t row, int64_t k) const {
  return const_cast<Bf16Rows*>(this)->blocks(row, k);
}

uint16_t* Bf16Rows::block(int64_t row, int64_t col) {
  const int64_t first = col / kDepth * kDepth;
  return blocks(row, first) + (col - first) * kBlockRows;
}

const uint16_t* Bf16Rows::block(int64_t row, int64_t col) const {
  return const_cast<Bf16Rows*>(this)->block(row, col);
}

PanelSource panels_of(Context& context, const Matrix& m) {
  return {kPanelCols,
          [&context, &m](int64_t k, int64_t depth, int64_t column, int64_t cols, uint16_t* panels) {
            write_panels(context, m, k, depth, column, cols, panels);
          }};
}

PanelSource transposed_panels_of(Context& context, const Matrix& m) {
  // No block of a format is decoded twice.
  int64_t step = kPanelCols;
  if (packed_for_panels(context, m) != nullptr) {
    step = kStripPanels * kPanelCols;
  } else if (m.frozen()) {
    step = round_up(format_info(m.weight().format()).block, kPanelCols);
  }
  return {step,
          [&context, &m](int64_t k, int64_t depth, int64_t column, int64_t cols, uint16_t* panels) {
            write_transposed_panels(context, m, k, depth, column, cols, panels);
          }};
}

PanelSource row_panels_of(Context& context, const RowsView& x) {
  return {kPanelCols,
          [&context, x](int64_t k, int64_t depth, int64_t column, int64_t cols, uint16_t* panels) {
            write_row_panels(context.kernels(), x, k, depth, column, cols, panels);
          }};
}

PanelSource block_panels_of(const Bf16Rows& x) {
  return {kPanelCols,
          [x](int64_t k, int64_t depth, int64_t column, int64_t cols, uint16_t* panels) {
            for (int64_t c = column; c < column + cols; c += kPanelCols) {
              for (int64_t row = k; row < k + depth;
                   row += kBlockRows, panels += kPanelCols * kBlockRows) {
                x.context().kernels().panel_from_block({x.block(row, c), panels});
              }
            }
          }};
}

float* strip_sums(const Bf16Rows& x, std::span<const PanelSource* const> sources, int64_t column,
                  int64_t width, int64_t begin, int64_t end, bool accumulate) {
  const int64_t count = (width + kPanelCols - 1) / kPanelCols;
  const auto all = static_cast<int64_t>(sources.size()) * count;
  auto* panels =
      reinterpret_cast<uint16_t*>(scratch(Scratch::kPanels, all * kPanelCols * kDepth / 2));
  float* sums = scratch(Scratch::kSums, round_up(end - begin, kBlockRows) * all * kPanelCols);
  for (int64_t k = 0; k < x.cols(); k += kDepth) {
    const int64_t depth = x.depth(k);
    uint16_t* target = panels;
    for (const PanelSource* source : sources) {
      source->write(k, depth, column, width, target);
      target += count * depth * kPanelCols;
    }
    x.context().kernels().gemm_blocks_bf16(
        {x.blocks(begin, k), panels, depth, end - begin, all, sums, accumulate || k > 0});
  }
  return sums;
}

void multiply_bf16(std::span<const Bf16Product> products, int64_t cols, float* y, int64_t y_stride,
                   bool accumulate) {
  Context& context = products[0].x->context();
  int64_t strip_cols = strip_width(context, cols);
  for (const Bf16Product& product : products) {
    strip_cols = round_up(strip_cols, product.panels.column_step);
  }
  const int64_t strips = (cols + strip_cols - 1) / strip_cols, rows = products[0].x->rows();
  const auto compute = [&](int64_t strip, int64_t begin, int64_t end) {
    const int64_t column = strip * strip_cols, width = std::min(strip_cols, cols - column);
    const float* sums = nullptr;
    for (const Bf16Product& product : products) {
      const PanelSource* const source = &product.panels;
      sums = strip_sums(*product.x, {&source, 1}, column, width, begin, end, sums != nullptr);
    }
    context.kernels().rows_from_sums(
        {sums, end - begin, width, y + begin * y_stride + column, y_stride, accumulate});
  };
  for_strips(context, strips, rows, kMostBlockedRows, compute);
}

void multiply_bf16(const Bf16Rows& x, PanelSource panels, int64_t cols, float* y, int64_t y_stride,
                   bool accumulate) {
  const Bf16Product product{&x, std::move(panels)};
  multiply_bf16({&product, 1}, cols, y, y_stride, accumulate);
}

}  // namespace zhiyin
