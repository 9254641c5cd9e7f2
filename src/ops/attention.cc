// Attention within a batch, with its gradient. Queries go in blocks of 64 against all keys before
// them, so scores exist for one block and head at a time; backward computes them again from the
// kept log-sum of each row (the idea of Dao et al. 2022, "FlashAttention", without its tiling of
// keys: rows of scores stay in the second-level cache for the lengths people train on).

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "ops/elementwise.h"

namespace zhiyin {
namespace {

constexpr int64_t kQueryBlock = 64;

int64_t panels_of(int64_t n) { return (n + kPanelCols - 1) / kPanelCols; }

// Keys (or values) of one head of one span, as panels for both orientations.
class HeadPanels {
 public:
  // by_key: product with a head vector gives one number a key.
  // by_dim: product with numbers a key gives a head vector.
  HeadPanels(const KernelTable& kernels, const float* rows, int64_t stride, int64_t n, int64_t dim)
      : kernels_(kernels), n_(n), dim_(dim) {
    by_key_.resize(static_cast<size_t>(panels_of(n) * dim * kPanelCols));
    for (int64_t p = 0; p < panels_of(n); ++p) {
      const int64_t first = p * kPanelCols;
      kernels.panel_from_rows_f32(rows + first * stride, stride,
                                  static_cast<int>(std::min<int64_t>(kPanelCols, n - first)), dim,
                                  by_key_.data() + p * dim * kPanelCols);
    }
    by_dim_.assign(static_cast<size_t>(panels_of(dim) * n * kPanelCols), 0.0f);
    for (int64_t p = 0; p < panels_of(dim); ++p) {
      const int64_t cols = std::min<int64_t>(kPanelCols, dim - p * kPanelCols);
      for (int64_t i = 0; i < n; ++i) {
        std::copy_n(rows + i * stride + p * kPanelCols, cols,
                    by_dim_.data() + (p * n + i) * kPanelCols);
      }
    }
  }

  // scores[r, key] = a[r] . row[key] for keys < count
  void scores(const float* a, int64_t a_stride, int64_t rows, int64_t count, float* out,
              int64_t out_stride) const {
    for (int64_t p = 0; p < panels_of(count); ++p) {
      const int64_t first = p * kPanelCols;
      kernels_.gemm_panel_f32(
          {a, a_stride, by_key_.data() + p * dim_ * kPanelCols, dim_, rows, out + first, out_stride,
           static_cast<int>(std::min<int64_t>(kPanelCols, count - first)), false});
    }
  }

  // out[r] (+)= sum over keys < count of a[r, key] * row[key]
  void combine(const float* a, int64_t a_stride, int64_t rows, int64_t count, float* out,
               int64_t out_stride, bool accumulate) const {
    for (int64_t p = 0; p < panels_of(dim_); ++p) {
      const int64_t first = p * kPanelCols;
      kernels_.gemm_panel_f32(
          {a, a_stride, by_dim_.data() + p * n_ * kPanelCols, count, rows, out + first, out_stride,
           static_cast<int>(std::min<int64_t>(kPanelCols, dim_ - first)), accumulate});
    }
  }

 private:
  const KernelTable& kernels_;
  int64_t n_, dim_;
  std::vector<float> by_key_, by_dim_;
};

// One head of one span: where its rows lie.
struct Head {
  const float* rows;
  int64_t stride;
};
Head head_of(const Tensor& x, const Span& span, int64_t head) {
  return {x.data() + span.begin * x.stride(0) + head * x.stride(1), x.stride(0)};
}
float* mutable_head(Tensor& x, const Span& span, int64_t head) {
  return x.data() + span.begin * x.stride(0) + head * x.stride(1);
}

struct Range {
  int64_t first, last;  // keys [first, last) that a query sees
};
Range visible(int64_t query, int64_t window) {
  return {window > 0 ? std::max<int64_t>(0, query + 1 - window) : 0, query + 1};
}

// out[c, r] = a[r, c]
void transpose(const float* a, int64_t a_stride, int64_t rows, int64_t cols, float* out) {
  for (int64_t r = 0; r < rows; ++r) {
    for (int64_t c = 0; c < cols; ++c) out[c * rows + r] = a[r * a_stride + c];
  }
}

struct Problem {
  Tensor q, k, v;
  std::vector<Span> spans;
  float scale;
  int64_t window;

  int64_t heads() const { return q.dim(1); }
  int64_t kv_heads() const { return k.dim(1); }
  int64_t group() const { return heads() / kv_heads(); }
  int64_t dim() const { return q.dim(2); }
  const KernelTable& kernels() const { return q.context().kernels(); }

  // body(span, kv head) on several threads.
  template <typename Body>
  void for_heads(const Body& body) const {
    const int64_t tasks = static_cast<int64_t>(spans.size()) * kv_heads();
    q.context().pool().parallel_for(tasks, 1, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        body(spans[static_cast<size_t>(i / kv_heads())], i % kv_heads());
      }
    });
  }
};

void forward_head(const Problem& problem, const Span& span, int64_t kv_head, Tensor& y,
                  Tensor& log_sums) {
  const KernelTable& kernels = problem.kernels();
  const Head k = head_of(problem.k, span, kv_head), v = head_of(problem.v, span, kv_head);
  const HeadPanels keys(kernels, k.rows, k.stride, span.count, problem.dim());
  const HeadPanels values(kernels, v.rows, v.stride, span.count, problem.dim());
  std::vector<float> block(static_cast<size_t>(kQueryBlock * span.count));
  for (int64_t g = 0; g < problem.group(); ++g) {
    const int64_t head = kv_head * problem.group() + g;
    const Head q = head_of(problem.q, span, head);
    for (int64_t begin = 0; begin < span.count; begin += kQueryBlock) {
      const int64_t end = std::min(span.count, begin + kQueryBlock), count = end;
      keys.scores(q.rows + begin * q.stride, q.stride, end - begin, count, block.data(), count);
      for (int64_t i = begin; i < end; ++i) {
        float* row = block.data() + (i - begin) * count;
        const Range range = visible(i, problem.window);
        const int64_t n = range.last - range.first;
        kernels.scale(problem.scale, row + range.first, row + range.first, n);
        const float top = kernels.max(row + range.first, n);
        const float sum = kernels.exp_sum(row + range.first, top, row + range.first, n);
        kernels.scale(1.0f / sum, row + range.first, row + range.first, n);
        std::fill(row, row + range.first, 0.0f);
        std::fill(row + range.last, row + count, 0.0f);
        log_sums.row(span.begin + i)[head] = top + std::log(sum);
      }
      values.combine(block.data(), count, end - begin, count,
                     mutable_head(y, span, head) + begin * y.stride(0), y.stride(0), false);
    }
  }
}

void backward_head(const Problem& problem, const Span& span, int64_t kv_head, const Tensor& y,
                   const Tensor& log_sums, const Tensor& dy, Tensor& dq, Tensor& dk, Tensor& dv) {
  const KernelTable& kernels = problem.kernels();
  const int64_t dim = problem.dim(), n = span.count;
  const Head k = head_of(problem.k, span, kv_head), v = head_of(problem.v, span, kv_head);
  const HeadPanels keys(kernels, k.rows, k.stride, n, dim);
  const HeadPanels values(kernels, v.rows, v.stride, n, dim);
  std::vector<float> p(static_cast<size_t>(kQueryBlock * n)), dp(p.size()), transposed(p.size());
  for (int64_t g = 0; g < problem.group(); ++g) {
    const int64_t head = kv_head * problem.group() + g;
    const Head q = head_of(problem.q, span, head), d = head_of(dy, span, head),
               out = head_of(y, span, head);
    for (int64_t begin = 0; begin < n; begin += kQueryBlock) {
      const int64_t end = std::min(n, begin + kQueryBlock), rows = end - begin, count = end;
      const float* q_block = q.rows + begin * q.stride;
      const float* d_block = d.rows + begin * d.stride;
      keys.scores(q_block, q.stride, rows, count, p.data(), count);
      values.scores(d_block, d.stride, rows, count, dp.data(), count);
      for (int64_t i = begin; i < end; ++i) {
        float* p_row = p.data() + (i - begin) * count;
        float* dp_row = dp.data() + (i - begin) * count;
        const Range range = visible(i, problem.window);
        const int64_t seen = range.last - range.first;
        kernels.scale(problem.scale, p_row + range.first, p_row + range.first, seen);
        kernels.exp_sum(p_row + range.first, log_sums.row(span.begin + i)[head],
                        p_row + range.first, seen);
        std::fill(p_row, p_row + range.first, 0.0f);
        std::fill(p_row + range.last, p_row + count, 0.0f);
        // d score = p (dp - dy . y), times the scale that the scores were multiplied with
        const float delta = kernels.dot(d.rows + i * d.stride, out.rows + i * out.stride, dim);
        for (int64_t j = 0; j < count; ++j) {
          dp_row[j] = p_row[j] * (dp_row[j] - delta) * problem.scale;
        }
        std::fill(dp_row, dp_row + range.first, 0.0f);
        std::fill(dp_row + range.last, dp_row + count, 0.0f);
      }
      keys.combine(dp.data(), count, rows, count,
                   mutable_head(dq, span, head) + begin * dq.stride(0), dq.stride(0), false);
      const HeadPanels q_panels(kernels, q_block, q.stride, rows, dim);
      transpose(dp.data(), count, rows, count, transposed.data());
      q_panels.combine(transposed.data(), rows, count, rows, mutable_head(dk, span, kv_head),
                       dk.stride(0), true);
      const HeadPanels d_panels(kernels, d_block, d.stride, rows, dim);
      transpose(p.data(), count, rows, count, transposed.data());
      d_panels.combine(transposed.data(), rows, count, rows, mutable_head(dv, span, kv_head),
                       dv.stride(0), true);
    }
  }
}

Problem checked_problem(const Tensor& q, const Tensor& k, const Tensor& v,
                        std::span<const Span> spans, const AttentionOptions& options) {
  check(q.dims() == 3 && k.dims() == 3 && k.shape() == v.shape() && q.dim(0) == k.dim(0) &&
            q.dim(2) == k.dim(2) && k.dim(1) > 0 && q.dim(1) % k.dim(1) == 0,
        ErrorCode::kFailed, "attention: queries ", q.shape(), ", keys ", k.shape(), " and values ",
        v.shape(), " do not fit");
  for (const Span& span : spans) {
    check(
        span.begin >= 0 && span.count >= 0 && span.begin + span.count <= q.dim(0) && span.past == 0,
        ErrorCode::kFailed, "attention: span [", span.begin, ", ", span.begin + span.count,
        ") after ", span.past, " tokens does not fit ", q.shape());
  }
  const float scale =
      options.scale != 0 ? options.scale : 1.0f / std::sqrt(static_cast<float>(q.dim(2)));
  return {q, k, v, {spans.begin(), spans.end()}, scale, options.window};
}

}  // namespace

Tensor attention(const Tensor& q, const Tensor& k, const Tensor& v, std::span<const Span> spans,
                 const AttentionOptions& options) {
  const Problem problem = checked_problem(q, k, v, spans, options);
  Context& context = q.context();
  Tensor y = Tensor::zeros(context, q.shape());
  Tensor log_sums = Tensor::empty(context, {q.dim(0), q.dim(1)});
  problem.for_heads([&](const Span& span, int64_t kv_head) {
    forward_head(problem, span, kv_head, y, log_sums);
  });
  return track("attention", y, {&q, &k, &v}, [problem, y, log_sums](const Tensor& dy) {
    Context& c = dy.context();
    Tensor dq = Tensor::zeros(c, problem.q.shape());
    Tensor dk = Tensor::zeros(c, problem.k.shape()), dv = Tensor::zeros(c, problem.v.shape());
    problem.for_heads([&](const Span& span, int64_t kv_head) {
      backward_head(problem, span, kv_head, y, log_sums, dy, dq, dk, dv);
    });
    return std::vector<Tensor>{dq, dk, dv};
  });
}

}  // namespace zhiyin
