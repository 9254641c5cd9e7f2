// The gated feed-forward block in one go. What gate and up give is as wide as several hidden
// states. Of many rows it would go to memory and back several times as f32: here sums become
// silu(gate) * up while they are in the cache, and bf16 for the last product at once. The way back
// does the same with the gradients, from gate and up as they were, kept in bf16. Of few rows it is
// what all threads would wait for while one computes it: here each does so for the columns it
// multiplied, and rounds them to integers for the last product.
#include <algorithm>
#include <memory>
#include <optional>
#include <utility>

#include "base/error.h"
#include "ops/low_rank.h"
#include "ops/product_bf16.h"
#include "ops/product_integers.h"
#include "ops/product_parts.h"

namespace zhiyin {
namespace {

constexpr int64_t kStripCols = kStripPanels / 2 * kPanelCols;  // of each of both matrices
constexpr int64_t kBlock = kBlockRows * kPanelCols;

enum Layer : size_t { kGate, kUp };

// Products before the nonlinearity, kept for the way back.
struct Inside {
  Bf16Rows gate, up;
};

// A block of 32 x 32 of what lies between the products, from (row, col) on; the last ones are
// smaller.
struct Place {
  const KernelTable& kernels;
  int64_t row, col, rows, cols;

  Place(const Bf16Rows& of, int64_t first_row, int64_t first_col)
      : kernels(of.context().kernels()),
        row(first_row),
        col(first_col),
        rows(std::min(kBlockRows, of.rows() - row)),
        cols(std::min<int64_t>(kPanelCols, of.cols() - col)) {}

  void write(const float* values, Bf16Rows& target) const {
    kernels.blocks_from_rows_bf16({values, kPanelCols, rows, cols, target.block(row, col)});
  }
  void read(const Bf16Rows& source, float* values) const {
    kernels.bf16_to_f32(source.block(row, col), values, kBlock);
  }
};

// silu(gate . x) * up . x, with what `terms` (of gate and up; `inner` is theirs) add to both.
Bf16Rows gated_rows(const Bf16Rows& x, const Matrix& gate, const Matrix& up,
                    const StackedTerms* terms, const Bf16Rows* inner, Inside* kept) {
  Context& context = x.context();
  Bf16Rows out(context, x.rows(), gate.rows());
  const PanelSource gate_panels = panels_of(context, gate), up_panels = panels_of(context, up);
  const PanelSource* const sources[] = {&gate_panels, &up_panels};
  PanelSource gate_factors, up_factors;
  if (terms != nullptr) {
    gate_factors = terms->second_factors(kGate);
    up_factors = terms->second_factors(kUp);
  }
  const PanelSource* const factors[] = {&gate_factors, &up_factors};
  const int64_t strips = (out.cols() + kStripCols - 1) / kStripCols;
  const auto compute = [&](int64_t strip, int64_t begin, int64_t end) {
    const int64_t column = strip * kStripCols, width = std::min(kStripCols, out.cols() - column);
    const float* sums = strip_sums(x, sources, column, width, begin, end, false);
    if (terms != nullptr) sums = strip_sums(*inner, factors, column, width, begin, end, true);
    const int64_t count = (width + kPanelCols - 1) / kPanelCols;
    for (int64_t row = begin; row < end; row += kBlockRows, sums += 2 * count * kBlock) {
      for (int64_t p = 0; p < count; ++p) {
        const Place place(out, row, column + p * kPanelCols);
        const float *of_gate = sums + p * kBlock, *of_up = sums + (count + p) * kBlock;
        alignas(64) float product[kBlock];
        place.kernels.swiglu(of_gate, of_up, product, place.rows * kPanelCols);
        place.write(product, out);
        if (kept != nullptr) {
          place.write(of_gate, kept->gate);
          place.write(of_up, kept->up);
        }
      }
    }
  };
  for_strips(context, strips, x.rows(), kMostBlockedRows, compute);
  return out;
}

// The same as integers. Columns come from rows of gate and up, in units of kUnitRows.
IntegerRows gated_rows(const IntegerRows& x, const Matrix& gate, const Matrix& up) {
  Context& context = x.context();
  IntegerRows out(context, x.rows(), gate.rows(), true);
  Tensor sums = Tensor::empty(context, {2, x.rows(), gate.rows()});
  float* const of_gate = sums.data();
  float* const of_up = of_gate + x.rows() * gate.rows();
  for_pieces(context, x.rows(), gate.rows() / kUnitRows, [&](int64_t begin, int64_t end) {
    const int64_t column = begin * kUnitRows, column_end = end * kUnitRows;
    x.multiply(gate, column, column_end, of_gate, gate.rows());
    x.multiply(up, column, column_end, of_up, gate.rows());
    for (int64_t r = 0; r < x.rows(); ++r) {
      float* const values = of_gate + r * gate.rows() + column;
      context.kernels().swiglu(values, of_up + r * gate.rows() + column, values,
                               column_end - column);
      out.round(r, column, column_end - column, values);
    }
  });
  return out;
}

// What the way back needs.
struct Record {
  Bf16Rows x;
  Shape shape;  // of x
  bool of_x;    // whether x asks for its gradient
  Matrix gate, up, down;
  StackedTerms terms, down_terms;
  Tensor inner, down_inner;
  Inside inside;
};

// Gradients of what gate and up gave, and silu(gate) * up once more.
struct InsideGradients {
  Bf16Rows gate, up, gated;
};

InsideGradients inside_gradients(const Record& record, const Bf16Rows& dy, const Bf16Rows* inner) {
  Context& context = dy.context();
  const int64_t rows = dy.rows(), cols = record.down.cols();
  InsideGradients out{{context, rows, cols}, {context, rows, cols}, {context, rows, cols}};
  const PanelSource panels = transposed_panels_of(context, record.down);
  const PanelSource* const source = &panels;
  PanelSource of_terms;
  if (inner != nullptr) of_terms = record.down_terms.first_factors_transposed();
  const PanelSource* const factors = &of_terms;
  const int64_t strip_cols = round_up(strip_width(context, cols), panels.column_step);
  const auto compute = [&](int64_t strip, int64_t begin, int64_t end) {
    const int64_t column = strip * strip_cols, width = std::min(strip_cols, cols - column);
    const float* sums = strip_sums(dy, {&source, 1}, column, width, begin, end, false);
    if (inner != nullptr) {
      sums = strip_sums(*inner, {&factors, 1}, column, width, begin, end, true);
    }
    for (int64_t row = begin; row < end; row += kBlockRows) {
      for (int64_t col = column; col < column + width; col += kPanelCols, sums += kBlock) {
        const Place place(out.gate, row, col);
        alignas(64) float gate[kBlock], up[kBlock], d_gate[kBlock], d_up[kBlock];
        place.read(record.inside.gate, gate);
        place.read(record.inside.up, up);
        const int64_t values = place.rows * kPanelCols;
        place.kernels.swiglu_backward(gate, up, sums, d_gate, d_up, values);
        place.write(d_gate, out.gate);
        place.write(d_up, out.up);
        place.kernels.swiglu(gate, up, gate, values);
        place.write(gate, out.gated);
      }
    }
  };
  for_strips(context, (cols + strip_cols - 1) / strip_cols, rows, kMostBlockedRows, compute);
  return out;
}

RowsView view_of(const Tensor& x) { return {x.data(), x.dim(0), x.dim(1), x.dim(1)}; }

// Of x, then of a and b of the terms of gate and up, then of down.
std::vector<Tensor> gradients_of(const Record& record, const Tensor& dy) {
  Context& context = dy.context();
  Tensor copy;
  const Bf16Rows of_dy(context, rows_view(dy, copy));
  const Bf16Rows* const below[] = {&of_dy};
  const bool down_has_terms = record.down_terms.rank() > 0, has_terms = record.terms.rank() > 0;
  Tensor down_inner;
  std::optional<Bf16Rows> rounded;
  if (down_has_terms) {
    down_inner = record.down_terms.inner_gradient(below);
    rounded.emplace(context, view_of(down_inner));
  }
  const InsideGradients inside =
      inside_gradients(record, of_dy, down_has_terms ? &*rounded : nullptr);
  const Bf16Rows* const both[] = {&inside.gate, &inside.up};
  std::vector<Tensor> gradients(1), of_down;
  Tensor inner;
  if (has_terms) {
    inner = record.terms.inner_gradient(both);
    gradients = record.terms.gradients(record.x, record.inner, inner, both);
    gradients.insert(gradients.begin(), Tensor());
    rounded.emplace(context, view_of(inner));
  }
  if (down_has_terms) {
    of_down = record.down_terms.gradients(inside.gated, record.down_inner, down_inner, below);
    gradients.insert(gradients.end(), of_down.begin(), of_down.end());
  }
  if (record.of_x) {
    Tensor dx = Tensor::empty(context, record.shape);
    std::vector<Bf16Product> products{{&inside.gate, transposed_panels_of(context, record.gate)},
                                      {&inside.up, transposed_panels_of(context, record.up)}};
    if (has_terms) products.push_back({&*rounded, record.terms.first_factors_transposed()});
    multiply_bf16(products, dx.dim(-1), dx.data(), dx.dim(-1), false);
    gradients[0] = dx;
  }
  return gradients;
}

void check_shapes(const Tensor& x, const Matrix& gate, const Matrix& up, const Matrix& down) {
  check(gate.shape() == up.shape() && x.dim(-1) == gate.cols() && gate.rows() == down.cols(),
        ErrorCode::kFailed, "gated_mlp: input ", x.shape(), ", gate ", gate.shape(), ", up ",
        up.shape(), " and down ", down.shape(), " do not fit");
}

bool fuses(const Tensor& x, std::initializer_list<const Matrix*> matrices) {
  Context& context = x.context();
  return !few_rows(x.rows()) && std::all_of(matrices.begin(), matrices.end(), [&](const Matrix* m) {
    return rounds_to_bf16(context, *m) && !multiplies_integers(context, *m, x.rows());
  });
}

bool in_integers(const Tensor& x, std::initializer_list<const Matrix*> matrices) {
  return few_rows(x.rows()) && std::all_of(matrices.begin(), matrices.end(), [&](const Matrix* m) {
           return multiplies_integers(x.context(), *m, x.rows());
         });
}

}  // namespace

bool fuses_gated_mlp(const Tensor& x, const Matrix& gate, const Matrix& up, const Matrix& down) {
  if (training()) return false;
  return fuses(x, {&gate, &up, &down}) || in_integers(x, {&gate, &up, &down});
}

Tensor gated_mlp(const Tensor& x, const Matrix& gate, const Matrix& up, const Matrix& down) {
  check_shapes(x, gate, up, down);
  Context& context = x.context();
  Tensor copy;
  const RowsView rows = rows_view(x, copy);
  Tensor y = Tensor::empty(context, x.shape().with_last(down.rows()));
  if (in_integers(x, {&gate, &up, &down})) {
    const IntegerProduct last{&down, y.data()};
    const IntegerRows inside = gated_rows(IntegerRows(context, rows, true), gate, up);
    multiply_integers(inside, {&last, 1});
  } else {
    const Bf16Rows inside =
        gated_rows(Bf16Rows(context, rows), gate, up, nullptr, nullptr, nullptr);
    multiply_bf16(inside, panels_of(context, down), down.rows(), y.data(), down.rows(), false);
  }
  return y;
}

bool fuses_adapted_mlp(const Tensor& x, const GatedMlpOperands& mlp) {
  return fuses(x, {mlp.gate, mlp.up, mlp.down});
}

Tensor adapted_mlp(const Tensor& x, const GatedMlpOperands& mlp) {
  check_shapes(x, *mlp.gate, *mlp.up, *mlp.down);
  Context& context = x.context();
  Tensor copy;
  const int64_t rows = x.rows(), width = mlp.gate->rows();
  const std::vector<LowRank>* const above[] = {&mlp.gate_terms, &mlp.up_terms};
  const std::vector<LowRank>* const below[] = {&mlp.down_terms};
  const auto record = std::make_shared<Record>(Record{Bf16Rows(context, rows_view(x, copy)),
                                                      x.shape(),
                                                      x.id() != 0,
                                                      *mlp.gate,
                                                      *mlp.up,
                                                      *mlp.down,
                                                      StackedTerms(context, above),
                                                      StackedTerms(context, below),
                                                      {},
                                                      {},
                                                      {{context, 0, 0}, {context, 0, 0}}});
  const bool records = Tape::current() != nullptr;
  if (records) record->inside = {{context, rows, width}, {context, rows, width}};
  std::optional<Bf16Rows> inner;
  if (record->terms.rank() > 0) {
    record->inner = record->terms.inner(record->x);
    inner.emplace(context, view_of(record->inner));
  }
  const Bf16Rows gated = gated_rows(record->x, *mlp.gate, *mlp.up, inner ? &record->terms : nullptr,
                                    inner ? &*inner : nullptr, records ? &record->inside : nullptr);
  std::vector<Bf16Product> products{{&gated, panels_of(context, *mlp.down)}};
  if (record->down_terms.rank() > 0) {
    record->down_inner = record->down_terms.inner(gated);
    inner.emplace(context, view_of(record->down_inner));
    products.push_back({&*inner, record->down_terms.second_factors(0)});
  }
  Tensor y = Tensor::empty(context, x.shape().with_last(mlp.down->rows()));
  multiply_bf16(products, y.dim(-1), y.data(), y.dim(-1), false);
  std::vector<const Tensor*> inputs{&x};
  for (const StackedTerms* terms : {&record->terms, &record->down_terms}) {
    for (const Tensor* factor : terms->factors()) inputs.push_back(factor);
  }
  return track("gated_mlp", y, inputs,
               [record](const Tensor& dy) { return gradients_of(*record, dy); });
}

}  // namespace zhiyin
