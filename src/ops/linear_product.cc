#include "ops/linear_product.h"

#include <utility>

#include "ops/elementwise.h"

namespace zhiyin {
namespace {

// Rows of x as products take them; the copy lives as long.
struct Rows {
  explicit Rows(const Tensor& x) : view(rows_view(x, copy)) {}
  Tensor copy;
  RowsView view;
};

Tensor rows_of(const Tensor& like, int64_t width) {
  return Tensor::empty(like.context(), {like.rows(), width});
}

void scale_rows(Tensor& x, float factor) {
  x.context().kernels().scale(factor, x.data(), x.data(), x.elements());
}

// scale * input . a^T
Tensor inner_in_bf16(const LowRank& term, const Bf16Rows& input) {
  Tensor h = rows_of(term.input, term.a.dim(0));
  const Matrix a(term.a);
  multiply_bf16(input, panels_of(h.context(), a), h.dim(1), h.data(), h.dim(1), false);
  scale_rows(h, term.scale);
  return h;
}

// scale * dy . b: what the terms' inner values get.
Tensor inner_gradient(const LowRank& term, const Tensor& dy, const Bf16Rows* rounded) {
  Tensor g = rows_of(dy, term.a.dim(0));
  const Matrix b(term.b);
  if (rounded != nullptr) {
    multiply_bf16(*rounded, transposed_panels_of(g.context(), b), g.dim(1), g.data(), g.dim(1),
                  false);
  } else {
    multiply_transposed(g.context(), Rows(dy).view, b, g.data(), g.dim(1), false);
  }
  scale_rows(g, term.scale);
  return g;
}

// Products of several rounded rows with the matrices of low-rank terms, which it keeps.
class Products {
 public:
  explicit Products(size_t most) {
    matrices_.reserve(most);
    rows_.reserve(most);
  }
  void add(const Bf16Rows& x, PanelSource panels) { all_.push_back({&x, std::move(panels)}); }
  // x . m^T, or x . m
  void add(const Tensor& x, const Tensor& m, bool transposed) {
    Context& context = x.context();
    const Matrix& matrix = matrices_.emplace_back(m);
    const Bf16Rows& rounded = rows_.emplace_back(context, Rows(x).view);
    add(rounded, transposed ? transposed_panels_of(context, matrix) : panels_of(context, matrix));
  }
  void run(Tensor& y) const { multiply_bf16(all_, y.dim(-1), y.data(), y.dim(-1), false); }

 private:
  std::vector<Bf16Product> all_;
  std::vector<Matrix> matrices_;
  std::vector<Bf16Rows> rows_;
};

// Sum over the rows of dy.
Tensor bias_gradient(const Tensor& dy) {
  Tensor sum = Tensor::zeros(dy.context(), {dy.dim(-1)});
  for (int64_t r = 0; r < dy.rows(); ++r) {
    dy.context().kernels().add(sum.data(), dy.row(r), sum.data(), dy.dim(-1));
  }
  return sum;
}

// dx = dy . m, with what the low-rank terms `inner` (gradients of their inner values) give it.
Tensor input_gradient(const LinearRecord& record, const Tensor& dy, const Bf16Rows* rounded,
                      const std::vector<Tensor>& inner) {
  Context& context = dy.context();
  Tensor dx = Tensor::empty(context, record.x.shape());
  const auto of_x = [&](size_t i) { return record.low_rank[i].input.id() == record.x.id(); };
  if (rounded != nullptr) {
    Products products(inner.size());
    products.add(*rounded, transposed_panels_of(context, record.matrix));
    for (size_t i = 0; i < inner.size(); ++i) {
      if (of_x(i)) products.add(inner[i], record.low_rank[i].a, true);
    }
    products.run(dx);
    return dx;
  }
  multiply_transposed(context, Rows(dy).view, record.matrix, dx.data(), record.matrix.cols(),
                      false);
  for (size_t i = 0; i < inner.size(); ++i) {
    if (!of_x(i)) continue;
    multiply_transposed(context, Rows(inner[i]).view, Matrix(record.low_rank[i].a), dx.data(),
                        record.matrix.cols(), true);
  }
  return dx;
}

Tensor outer(const Tensor& dy, const Tensor& x, bool bf16) {
  Tensor dm = Tensor::empty(dy.context(), {dy.dim(-1), x.dim(-1)});
  multiply_outer(dy.context(), Rows(dy).view, Rows(x).view, dm.data(), false, bf16);
  return dm;
}

}  // namespace

const Bf16Rows& RoundedRows::get() {
  if (!rows_) rows_ = std::make_unique<Bf16Rows>(x_.context(), Rows(x_).view);
  return *rows_;
}

void multiply_in_bf16(const Tensor& x, const LinearOperand& operand, RoundedRows& rounded,
                      std::vector<Tensor>& inner, Tensor& y) {
  Products products(operand.low_rank.size());
  products.add(rounded.get(), panels_of(y.context(), *operand.matrix));
  for (const LowRank& term : operand.low_rank) {
    if (term.input.data() == x.data()) {
      inner.push_back(inner_in_bf16(term, rounded.get()));
    } else {
      inner.push_back(inner_in_bf16(term, RoundedRows(term.input).get()));
    }
    products.add(inner.back(), term.b, false);
  }
  products.run(y);
}

void add_low_rank(const LinearOperand& operand, std::vector<Tensor>& inner, Tensor& y) {
  Context& context = y.context();
  for (const LowRank& term : operand.low_rank) {
    Tensor h = rows_of(term.input, term.a.dim(0));
    multiply(context, Rows(term.input).view, Matrix(term.a), h.data(), h.dim(1));
    scale_rows(h, term.scale);
    Tensor added = Tensor::empty(context, y.shape());
    multiply(context, Rows(h).view, Matrix(term.b), added.data(), y.dim(-1));
    for_rows(y, [&](int64_t r) {
      context.kernels().add(y.row(r), added.row(r), y.row(r), row_size(y));
    });
    inner.push_back(h);
  }
}

std::vector<const Tensor*> linear_inputs(const LinearRecord& record) {
  std::vector<const Tensor*> inputs{&record.x, &record.matrix.tensor(), &record.bias};
  for (const LowRank& term : record.low_rank) {
    inputs.insert(inputs.end(), {&term.input, &term.a, &term.b});
  }
  return inputs;
}

std::vector<Tensor> linear_gradients(const LinearRecord& record, const Tensor& dy) {
  Context& context = dy.context();
  RoundedRows of_dy(dy);
  const Bf16Rows* rounded = rounds_to_bf16(context, record.matrix) ? &of_dy.get() : nullptr;
  std::vector<Tensor> inner;
  for (const LowRank& term : record.low_rank) {
    inner.push_back(inner_gradient(term, dy, rounded));
  }
  std::vector<Tensor> gradients(3);
  if (record.x.id() != 0) gradients[0] = input_gradient(record, dy, rounded, inner);
  const Matrix& m = record.matrix;
  if (!m.frozen() && m.tensor().id() != 0) gradients[1] = outer(dy, record.x, false);
  if (record.bias.id() != 0) gradients[2] = bias_gradient(dy);
  for (size_t i = 0; i < inner.size(); ++i) {
    const LowRank& term = record.low_rank[i];
    Tensor d_input, da, db;
    if (term.input.id() != 0 && term.input.id() != record.x.id()) {
      d_input = Tensor::empty(context, term.input.shape());
      multiply_transposed(context, Rows(inner[i]).view, Matrix(term.a), d_input.data(),
                          term.a.dim(1), false);
    }
    if (term.a.id() != 0) da = outer(inner[i], term.input, rounded != nullptr);
    if (term.b.id() != 0) db = outer(dy, record.inner[i], rounded != nullptr);
    gradients.insert(gradients.end(), {d_input, da, db});
  }
  return gradients;
}

}  // namespace zhiyin
