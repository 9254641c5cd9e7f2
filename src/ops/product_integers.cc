#include "ops/product_integers.h"

#include <algorithm>

namespace zhiyin {
namespace {

int64_t units_of(const IntegerProduct& product) {
  return (product.matrix->rows() + kUnitRows - 1) / kUnitRows;
}

// Calls compute(product, begin, end) for the rows of all products, on all threads.
template <typename Compute>
void for_products(Context& context, int64_t rows, std::span<const IntegerProduct> products,
                  const Compute& compute) {
  int64_t total = 0;
  for (const IntegerProduct& product : products) total += units_of(product);
  for_pieces(context, rows, total, [&](int64_t begin, int64_t end) {
    int64_t first = 0;  // of a product's units
    for (const IntegerProduct& product : products) {
      const int64_t row = std::max<int64_t>(begin - first, 0) * kUnitRows;
      const int64_t row_end = std::min((end - first) * kUnitRows, product.matrix->rows());
      if (row < row_end) compute(product, row, row_end);
      first += units_of(product);
    }
  });
}

// Rows of x as tiles of integers, for gemm_requantized.
class Q8Tiles {
 public:
  Q8Tiles(Context& context, const RowsView& x, bool fine) {
    const Q8TileLayout layout{x.cols, fine};
    const int64_t tiles = (x.rows + kQ8TileTokens - 1) / kQ8TileTokens;
    constexpr auto kFloat = static_cast<int64_t>(sizeof(float));
    data_ = Tensor::empty(context, {tiles * layout.bytes() / kFloat});
    context.pool().parallel_for(tiles, 1, [&](int64_t begin, int64_t end) {
      const int64_t first = begin * kQ8TileTokens;
      context.kernels().q8_tiles_from_rows(x.data + first * x.stride, x.stride,
                                           std::min(end * kQ8TileTokens, x.rows) - first, layout,
                                           data() + begin * layout.bytes());
    });
  }

  uint8_t* data() { return reinterpret_cast<uint8_t*>(data_.data()); }

 private:
  Tensor data_;  // for its alignment
};

}  // namespace

IntegerRows::IntegerRows(Context& context, int64_t rows, int64_t cols, bool fine)
    : rows_(rows), cols_(cols) {
  const int64_t values = rows * cols, blocks = values / kQ8Block;
  const int64_t bytes = fine ? 2 * values : values;
  storage_ = Tensor::empty(context, {bytes / static_cast<int64_t>(sizeof(float)) + 2 * blocks});
  auto* const codes = reinterpret_cast<int8_t*>(storage_.data());
  auto* const scales = reinterpret_cast<float*>(codes + bytes);
  all_ = {codes, fine ? codes + values : nullptr, scales,
          reinterpret_cast<int32_t*>(scales + blocks)};
}

IntegerRows::IntegerRows(Context& context, const RowsView& x, bool fine)
    : IntegerRows(context, x.rows, x.cols, fine) {
  context.pool().parallel_for(x.rows, 8, [&](int64_t begin, int64_t end) {
    context.kernels().quantize_rows(x.data + begin * x.stride, x.stride, end - begin, x.cols,
                                    at(begin, 0));
  });
}

Q8Rows IntegerRows::at(int64_t r, int64_t col) const {
  const int64_t value = r * cols_ + col, block = value / kQ8Block;
  return {all_.q + value, all_.low != nullptr ? all_.low + value : nullptr, all_.scales + block,
          all_.sums + block};
}

void IntegerRows::round(int64_t r, int64_t begin, int64_t count, const float* x) {
  context().kernels().quantize_rows(x, count, 1, count, at(r, begin));
}

void IntegerRows::multiply(const Matrix& m, int64_t begin, int64_t end, float* y,
                           int64_t y_stride) const {
  context().kernels().gemm_packed({*m.weight().packed(), all_.q, all_.low, all_.scales, all_.sums,
                                   rows_, y, y_stride, begin, end});
}

void multiply_integers(const IntegerRows& x, std::span<const IntegerProduct> products) {
  for_products(x.context(), x.rows(), products,
               [&](const IntegerProduct& product, int64_t begin, int64_t end) {
                 x.multiply(*product.matrix, begin, end, product.y, product.matrix->rows());
               });
}

void multiply_requantized(Context& context, const RowsView& x, bool fine,
                          std::span<const IntegerProduct> products) {
  Q8Tiles tiles(context, x, fine);
  for_products(context, x.rows, products,
               [&](const IntegerProduct& product, int64_t begin, int64_t end) {
                 const PackedWeight& w = *product.matrix->weight().packed();
                 context.kernels().gemm_requantized(
                     {w, tiles.data(), fine, x.rows, product.y, w.rows, begin, end});
               });
}

}  // namespace zhiyin
