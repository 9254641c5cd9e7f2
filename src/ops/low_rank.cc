#include "ops/low_rank.h"

#include <algorithm>

#include "ops/elementwise.h"
#include "ops/product_parts.h"

namespace zhiyin {
namespace {

Tensor transposed(const Tensor& x) {
  Tensor y = Tensor::empty(x.context(), {x.dim(1), x.dim(0)});
  // In bands, so that the lines read from stay in the cache until all of them is used.
  constexpr int64_t kBand = 16;
  x.context().pool().parallel_for((x.dim(1) + kBand - 1) / kBand, 64,
                                  [&](int64_t begin, int64_t end) {
                                    const int64_t last = std::min(end * kBand, x.dim(1));
                                    for (int64_t c = begin * kBand; c < last; ++c) {
                                      float* target = y.row(c);
                                      for (int64_t r = 0; r < x.dim(0); ++r)
                                        target[r] = x.row(r)[c];
                                    }
                                  });
  return y;
}

}  // namespace

Tensor narrow_outer(const Tensor& left, const Bf16Rows& x) {
  Context& context = x.context();
  const Tensor rows = transposed(left);
  const Bf16Rows rounded(context, {rows.data(), rows.dim(0), rows.dim(1), rows.dim(1)});
  Tensor y = Tensor::empty(context, {rows.dim(0), x.cols()});
  multiply_bf16(rounded, block_panels_of(x), x.cols(), y.data(), x.cols(), false);
  return y;
}

StackedTerms::StackedTerms(Context& context, std::span<const std::vector<LowRank>* const> layers)
    : context_(context) {
  int64_t cols = 0;
  for (size_t layer = 0; layer < layers.size(); ++layer) {
    for (const LowRank& term : *layers[layer]) {
      terms_.push_back({layer, Matrix(term.a), Matrix(term.b), term.scale, rank_});
      rank_ += term.a.dim(0);
      cols = term.a.dim(1);
    }
  }
  if (rank_ == 0) return;
  Tensor first = Tensor::empty(context, {rank_, cols});
  for (const Term& term : terms_) {
    for (int64_t r = 0; r < term.rank(); ++r) {
      std::copy_n(term.a.tensor().row(r), cols, first.row(term.offset + r));
    }
  }
  first_ = Matrix(first);
}

void StackedTerms::scale_columns(Tensor& inner) const {
  const KernelTable& kernels = context_.kernels();
  for (int64_t r = 0; r < inner.dim(0); ++r) {
    for (const Term& term : terms_) {
      float* values = inner.row(r) + term.offset;
      kernels.scale(term.scale, values, values, term.rank());
    }
  }
}

Tensor StackedTerms::inner(const Bf16Rows& x) const {
  Tensor h = Tensor::empty(context_, {x.rows(), rank_});
  multiply_bf16(x, panels_of(context_, first_), rank_, h.data(), rank_, false);
  scale_columns(h);
  return h;
}

PanelSource StackedTerms::second_factors(size_t layer) const {
  return {kPanelCols,
          [this, layer](int64_t k, int64_t depth, int64_t column, int64_t cols, uint16_t* panels) {
            float* rows = scratch(Scratch::kRows, kPanelCols * depth);
            for (int64_t n = column; n < column + cols; n += kPanelCols) {
              const int64_t count = std::min<int64_t>(kPanelCols, column + cols - n);
              std::fill_n(rows, kPanelCols * depth, 0.0f);
              for (const Term& term : terms_) {
                const int64_t begin = std::max(k, term.offset);
                const int64_t end = std::min(k + depth, term.offset + term.rank());
                if (term.layer != layer || begin >= end) continue;
                for (int64_t i = 0; i < count; ++i) {
                  std::copy_n(term.b.tensor().row(n + i) + (begin - term.offset), end - begin,
                              rows + i * depth + (begin - k));
                }
              }
              context_.kernels().panel_from_rows_bf16(rows, depth, static_cast<int>(count), depth,
                                                      panels);
              panels += depth * kPanelCols;
            }
          }};
}

PanelSource StackedTerms::first_factors_transposed() const {
  return transposed_panels_of(context_, first_);
}

Tensor StackedTerms::inner_gradient(std::span<const Bf16Rows* const> dy) const {
  Tensor g = Tensor::empty(context_, {dy[0]->rows(), rank_});
  for (const Term& term : terms_) {
    multiply_bf16(*dy[term.layer], transposed_panels_of(context_, term.b), term.rank(),
                  g.data() + term.offset, rank_, false);
  }
  scale_columns(g);
  return g;
}

std::vector<Tensor> StackedTerms::gradients(const Bf16Rows& x, const Tensor& inner,
                                            const Tensor& inner_gradient,
                                            std::span<const Bf16Rows* const> dy) const {
  const Tensor all_a = narrow_outer(inner_gradient, x);
  std::vector<Tensor> gradients;
  for (const Term& term : terms_) {
    const int64_t end = term.offset + term.rank();
    gradients.push_back(all_a.slice(0, term.offset, end));
    gradients.push_back(
        transposed(narrow_outer(inner.slice(1, term.offset, end), *dy[term.layer])));
  }
  return gradients;
}

std::vector<const Tensor*> StackedTerms::factors() const {
  std::vector<const Tensor*> all;
  for (const Term& term : terms_) all.insert(all.end(), {&term.a.tensor(), &term.b.tensor()});
  return all;
}

}  // namespace zhiyin
