#include "api/parity.h"

#include <algorithm>
#include <cmath>

#include "api/model_impl.h"
#include "api/tune_rows.h"
#include "base/error.h"
#include "base/file.h"

namespace zhiyin {
namespace {

constexpr size_t kMostTokens = 384;  // of a row
constexpr int64_t kPiece = 32;       // positions whose logits exist at once

// A row read through one model, piece by piece.
class Reader {
 public:
  Reader(Model& model, const TrainRow& row)
      : impl_(model.impl()),
        lm_(impl_.need_causal_lm()),
        ids_(std::span(row.ids).first(std::min(row.ids.size(), kMostTokens))),
        cache_(*impl_.context, lm_.kv_shape(), impl_.cache_type(),
               static_cast<int64_t>(ids_.size())),
        sequence_(cache_.add_sequence()) {}

  // Logits of positions [at, end), [end - at, vocabulary].
  Tensor logits(int64_t at, int64_t end) {
    Batch batch;
    batch.add(ids_.subspan(static_cast<size_t>(at), static_cast<size_t>(end - at)), at, sequence_);
    return lm_.logits(lm_.forward(batch, {.cache = &cache_, .on_hidden = {}}));
  }
  int64_t size() const { return static_cast<int64_t>(ids_.size()); }

 private:
  Model::Impl& impl_;
  CausalLm& lm_;
  std::span<const int32_t> ids_;
  KvCache cache_;
  int sequence_;
};

struct Sums {
  int64_t positions = 0, same = 0;
  double divergence = 0, largest = 0;

  // Two rows of logits of the same position.
  void add(const KernelTable& kernels, const float* a, const float* b, int64_t n,
           std::vector<float>& scratch) {
    ++positions;
    same += std::max_element(a, a + n) - a == std::max_element(b, b + n) - b ? 1 : 0;
    scratch.resize(static_cast<size_t>(n));
    const auto log_sum = [&](const float* x) {
      const float top = kernels.max(x, n);
      return static_cast<double>(top) +
             std::log(static_cast<double>(kernels.exp_sum(x, top, scratch.data(), n)));
    };
    const double zb = log_sum(b), za = log_sum(a);
    // scratch holds exp(a - its largest) now.
    const double top = static_cast<double>(kernels.max(a, n));
    double sum = 0;
    for (int64_t i = 0; i < n; ++i) {
      const double x = static_cast<double>(a[i]), y = static_cast<double>(b[i]);
      largest = std::max(largest, std::fabs(x - y));
      sum += static_cast<double>(scratch[static_cast<size_t>(i)]) * (x - za - y + zb);
    }
    divergence += sum * std::exp(top - za);
  }
};

}  // namespace

std::vector<TrainRow> rows_of_run(const std::string& run, const Tokenizer& tokenizer,
                                  const ChatTemplate& chat_template, size_t count,
                                  std::string& why) {
  const std::string path = run + "/train_config.yaml";
  if (!file_exists(path)) {
    why = path + " is not there";
    return {};
  }
  std::vector<TrainRow> rows;
  try {
    const TuneConfig config = read_tune_config(path, {});
    TuneRows data(config, tokenizer, chat_template);
    for (const std::string& name : config.datasets) data.add_dataset(name);
    rows = std::move(data.rows);
  } catch (const Error& e) {
    why = e.what();
    return {};
  }
  if (rows.size() <= count) return rows;
  std::vector<TrainRow> chosen;
  for (size_t i = 0; i < count; ++i) chosen.push_back(std::move(rows[i * rows.size() / count]));
  return chosen;
}

ParityReport compare_models(Model& tuned, Model& exported, std::span<const TrainRow> rows,
                            const std::function<void(int64_t, int64_t)>& on_progress) {
  const KernelTable& kernels = tuned.impl().context->kernels();
  Sums sums;
  std::vector<float> scratch;
  int64_t done = 0;
  for (const TrainRow& row : rows) {
    Reader a(tuned, row), b(exported, row);
    for (int64_t at = 0; at < a.size(); at += kPiece) {
      const int64_t end = std::min(a.size(), at + kPiece);
      Tensor from = a.logits(at, end), to = b.logits(at, end);
      for (int64_t i = at; i < end && i + 1 < a.size(); ++i) {
        if (row.labels[static_cast<size_t>(i + 1)] == kIgnoreLabel) continue;
        sums.add(kernels, from.row(i - at), to.row(i - at), std::min(from.dim(1), to.dim(1)),
                 scratch);
      }
    }
    if (on_progress) on_progress(++done, static_cast<int64_t>(rows.size()));
  }
  const double n = static_cast<double>(std::max<int64_t>(1, sums.positions));
  return {.rows = static_cast<int64_t>(rows.size()),
          .positions = sums.positions,
          .largest_logit_difference = sums.largest,
          .mean_kl = sums.divergence / n,
          .same_token_rate = static_cast<double>(sums.same) / n};
}

std::vector<int32_t> prompt_of(const TrainRow& row) {
  const auto first = std::ranges::find_if(row.labels, [](int32_t l) { return l != kIgnoreLabel; });
  return {row.ids.begin(), row.ids.begin() + (first - row.labels.begin())};
}

}  // namespace zhiyin
