#include <algorithm>
#include <atomic>
#include <cmath>
#include <vector>

#include "ops/elementwise.h"

namespace zhiyin {
namespace {

// Queries whose heads share keys are attended together, so that a page is read and converted once
// for them: so many rows where products are f32, and where they are bf16.
constexpr int64_t kMaxRows = 64, kMaxRowsBf16 = 448;
// Keys of few tokens are split into parts of this many, for threads to share. The parts of a row do
// not depend on how many tokens or threads there are, so neither does its result.
constexpr int64_t kSplitKeys = 512;

// Rows [token_begin, token_end) of one span, all query heads of one key-value head, keys
// [split_begin, split_end).
struct Task {
  size_t span;
  int64_t kv_head, token_begin, token_end;
  int64_t split_begin, split_end;
  float* out = nullptr;      // of a split: [rows, D], unnormalised
  float* partial = nullptr;  // [rows, 2]: maximum and sum
};

class CachedAttention {
 public:
  CachedAttention(const Tensor& q, Tensor& y, KvType type, int64_t kv_heads,
                  std::span<const Span> spans, std::span<const CachedSequence> sequences,
                  const AttentionOptions& options)
      : q_(q),
        y_(y),
        type_(type),
        kv_heads_(kv_heads),
        group_(q.dim(1) / kv_heads),
        dim_(q.dim(2)),
        spans_(spans),
        sequences_(sequences),
        window_(options.window),
        scale_(options.scale != 0 ? options.scale : 1.0f / std::sqrt(static_cast<float>(dim_))) {}

  void run() {
    make_tasks();
    run_tasks();
    merge_splits();
  }

 private:
  int64_t rows_of(const Task& task) const { return (task.token_end - task.token_begin) * group_; }

  // Products in bf16 pay for the conversion with many rows, and may not be what decodes few tokens:
  // these give the same alone as together.
  bool use_bf16(const Span& span) const {
    return span.count > kFewRows && q_.context().precision() == Precision::kFast;
  }
  int64_t tokens_a_task(const Span& span) const {
    if (!use_bf16(span)) return std::max<int64_t>(1, kMaxRows / group_);
    // A power of two, so that rows are whole tiles, and several tasks a thread.
    int64_t tokens = 16;
    while (2 * tokens * group_ <= kMaxRowsBf16) tokens *= 2;
    const int64_t threads = q_.context().pool().threads();
    while (tokens > 16 && span.count / tokens * kv_heads_ < 4 * threads) tokens /= 2;
    return tokens;
  }

  void make_tasks() {
    int64_t split_rows = 0;
    for (size_t s = 0; s < spans_.size(); ++s) {
      const Span& span = spans_[s];
      const int64_t step = tokens_a_task(span);
      for (int64_t t = 0; t < span.count; t += step) {
        const int64_t t_end = std::min(span.count, t + step);
        const int64_t keys = span.past + t_end;
        const int64_t part = span.count <= kFewRows ? std::min(keys, kSplitKeys) : keys;
        for (int64_t h = 0; h < kv_heads_; ++h) {
          for (int64_t k = 0; k < keys; k += part) {
            tasks_.push_back({s, h, t, t_end, k, std::min(keys, k + part)});
            if (part < keys) split_rows += rows_of(tasks_.back());
          }
        }
      }
    }
    // Addresses are given out only now that the vector will not move.
    split_out_.resize(static_cast<size_t>(split_rows * (dim_ + 2)));
    float* next = split_out_.data();
    for (Task& task : tasks_) {
      const Span& span = spans_[task.span];
      if (task.split_begin == 0 && task.split_end == span.past + task.token_end) continue;
      task.out = next;
      task.partial = next + rows_of(task) * dim_;
      next += rows_of(task) * (dim_ + 2);
    }
  }

  // A thread takes tasks that follow one another, since each asks for the memory that the next one
  // reads, and then those that other threads have not come to.
  void run_tasks() {
    struct alignas(64) Part {
      std::atomic<int64_t> next;
      int64_t end;
    };
    ThreadPool& pool = q_.context().pool();
    const auto count = static_cast<int64_t>(tasks_.size());
    const int64_t parts = std::min<int64_t>(count, pool.threads());
    std::vector<Part> all(static_cast<size_t>(parts));
    for (int64_t p = 0; p < parts; ++p) {
      all[static_cast<size_t>(p)].next = count * p / parts;
      all[static_cast<size_t>(p)].end = count * (p + 1) / parts;
    }
    pool.parallel_for(parts, 1, [&](int64_t begin, int64_t) {
      for (int64_t p = begin; p < begin + parts; ++p) {
        Part& part = all[static_cast<size_t>(p % parts)];
        for (int64_t i; (i = part.next.fetch_add(1, std::memory_order_relaxed)) < part.end;) {
          run_task(tasks_[static_cast<size_t>(i)]);
        }
      }
    });
  }

  void run_task(const Task& task) {
    const Span& span = spans_[task.span];
    const CachedSequence& sequence = sequences_[task.span];
    const int64_t rows = rows_of(task);
    thread_local std::vector<const float*> q_rows;
    thread_local std::vector<float*> out_rows;
    thread_local std::vector<int64_t> first, last;
    thread_local std::vector<float> scratch;
    q_rows.clear();
    out_rows.clear();
    first.clear();
    last.clear();
    for (int64_t t = task.token_begin; t < task.token_end; ++t) {
      for (int64_t g = 0; g < group_; ++g) {
        const int64_t head = task.kv_head * group_ + g, token = span.begin + t;
        q_rows.push_back(q_.data() + token * q_.stride(0) + head * q_.stride(1));
        out_rows.push_back(task.out != nullptr
                               ? task.out + static_cast<int64_t>(out_rows.size()) * dim_
                               : y_.data() + token * y_.stride(0) + head * y_.stride(1));
        const int64_t end = span.past + t + 1;
        last.push_back(end);
        first.push_back(window_ > 0 ? std::max<int64_t>(0, end - window_) : 0);
      }
    }
    const auto needed = static_cast<size_t>(attend_scratch_floats(rows, dim_));
    if (scratch.size() < needed) scratch.resize(needed);
    const int64_t head = task.kv_head * sequence.head_bytes;
    q_.context().kernels().attend({type_, dim_, sequence.pages, sequence.key_offset + head,
                                   sequence.value_offset + head, q_rows.data(), out_rows.data(),
                                   first.data(), last.data(), rows, scale_, 0.0f, task.split_begin,
                                   task.split_end, task.partial, scratch.data(), use_bf16(span)});
  }

  // Adds up the parts of a row, each weighted by exp(its maximum - the row's maximum).
  void merge_splits() {
    for (size_t i = 0; i < tasks_.size();) {
      if (tasks_[i].out == nullptr) {
        ++i;
        continue;
      }
      size_t end = i + 1;
      while (end < tasks_.size() && tasks_[end].split_begin > 0) ++end;
      const Task& head = tasks_[i];
      for (int64_t r = 0; r < rows_of(head); ++r) {
        const int64_t token = spans_[head.span].begin + head.token_begin + r / group_;
        float* target =
            y_.data() + token * y_.stride(0) + (head.kv_head * group_ + r % group_) * y_.stride(1);
        merge_row({tasks_.data() + i, end - i}, r, target);
      }
      i = end;
    }
  }

  void merge_row(std::span<const Task> parts, int64_t r, float* target) const {
    const KernelTable& kernels = q_.context().kernels();
    float top = -INFINITY, sum = 0;
    for (const Task& part : parts) top = std::max(top, part.partial[2 * r]);
    std::fill_n(target, dim_, 0.0f);
    for (const Task& part : parts) {
      if (part.partial[2 * r + 1] <= 0) continue;  // no key of this part is visible
      const float factor = std::exp(part.partial[2 * r] - top);
      sum += factor * part.partial[2 * r + 1];
      kernels.axpy(factor, part.out + r * dim_, target, dim_);
    }
    kernels.scale(1.0f / sum, target, target, dim_);
  }

  const Tensor& q_;
  Tensor& y_;
  KvType type_;
  int64_t kv_heads_, group_, dim_;
  std::span<const Span> spans_;
  std::span<const CachedSequence> sequences_;
  int64_t window_;
  float scale_;
  std::vector<Task> tasks_;
  std::vector<float> split_out_;
};

}  // namespace

Tensor attention_cached(const Tensor& q, KvType type, int64_t kv_heads, std::span<const Span> spans,
                        std::span<const CachedSequence> sequences,
                        const AttentionOptions& options) {
  check(
      q.dims() == 3 && kv_heads > 0 && q.dim(1) % kv_heads == 0 && spans.size() == sequences.size(),
      ErrorCode::kFailed, "attention: queries ", q.shape(), " with ", kv_heads, " key heads and ",
      sequences.size(), " cached sequences for ", spans.size(), " spans");
  check(!recording({&q}), ErrorCode::kFailed,
        "attention: cached keys carry no gradient; train without a cache");
  Tensor y = Tensor::empty(q.context(), q.shape());
  CachedAttention(q, y, type, kv_heads, spans, sequences, options).run();
  return y;
}

}  // namespace zhiyin
