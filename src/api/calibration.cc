#include "api/calibration.h"

#include <algorithm>
#include <cmath>
#include <map>

#include "api/everyday_questions.h"
#include "api/model_impl.h"
#include "api/parity.h"
#include "api/requests.h"
#include "base/error.h"
#include "base/random.h"
#include "train/collate.h"

namespace zhiyin {
namespace {

// One of both models, at one block.
struct Reader {
  CausalLm& lm;
  Tensor hidden;                       // what enters the block
  Tensor output;                       // what leaves it
  std::map<std::string, Tensor> seen;  // inputs of its layers, by path

  void run(int64_t block, const Batch& batch) {
    seen.clear();
    for (Linear* layer : lm.linears()) {
      layer->on_input() = [this, layer](const Tensor& x) { seen[layer->path()] = x; };
    }
    output = lm.block(block, hidden, batch);
    for (Linear* layer : lm.linears()) layer->on_input() = nullptr;
  }
};

class TunedViews : public LayerViews {
 public:
  TunedViews(Model& tuned, Model exported, Batch batch)
      : exported_model_(std::move(exported)),
        batch_(std::move(batch)),
        tuned_{tuned.impl().need_causal_lm(), {}, {}, {}},
        exported_{exported_model_.impl().need_causal_lm(), {}, {}, {}} {
    for (Linear* layer : exported_.lm.linears()) layers_.push_back(layer);
    tuned_.hidden = tuned_.lm.embed(batch_);
    // The same values; they part at the first rounded layer.
    exported_.hidden = exported_.lm.embed(batch_);
    // A block asks for the same few hundred megabytes each time.
    tuned.impl().context->allocator().keep_at_most(kKept);
    exported_model_.impl().context->allocator().keep_at_most(kKept);
  }
  ~TunedViews() override {
    Allocator& memory = tuned_.hidden.context().allocator();
    tuned_.hidden = tuned_.output = {};
    tuned_.seen.clear();
    memory.keep_at_most(Allocator::kKeptAtFirst);
    memory.trim();
  }

  std::vector<std::string> order() const override {
    std::vector<std::string> paths;
    for (const Linear* layer : layers_) paths.push_back(layer->path());
    return paths;
  }

  LayerView look(std::string_view path) override {
    const size_t at = index_of(path);
    go_to_block(static_cast<int64_t>(at / layers_a_block()));
    const std::string name(path);
    if (is_stale(name)) run_exported();
    LayerView view{.tuned = tuned_.seen.at(name), .exported = exported_.seen.at(name), .owed = {}};
    // What a block adds to the hidden states: attention to those that enter, the feed-forward to
    // the sum.
    if (path.ends_with(".o_proj")) {
      view.owed = difference(tuned_.hidden, exported_.hidden);
    } else if (path.ends_with(".down_proj")) {
      const Linear& layer = *layers_[at];
      view.owed = difference(difference(tuned_.output, layer(view.tuned)),
                             difference(exported_.output, layer(view.exported)));
    }
    if (view.owed.defined()) weigh(view);
    return view;
  }

  void settle(std::string_view path, const Weight& matrix) override {
    Linear* layer = layers_[index_of(path)];
    matrix.prepare(*exported_model_.impl().context);
    layer->replace(Matrix(matrix));
    settled_.push_back(std::string(path));
  }

 private:
  // An error counts by its share of the hidden state it is added to: the first token of a
  // conversation has states a thousand times as large as others (Sun et al. 2024, "Massive
  // activations"), and would be all that a layer is rounded by.
  void weigh(LayerView& view) const {
    const KernelTable& kernels = tuned_.output.context().kernels();
    const int64_t tokens = tuned_.output.dim(0), width = tuned_.output.dim(1);
    std::vector<float> shares;
    for (int64_t t = 0; t < tokens; ++t) {
      const float* state = tuned_.output.row(t);
      const float squares = kernels.dot(state, state, width) / static_cast<float>(width);
      shares.push_back(1.0f / std::sqrt(squares + 1e-12f));
    }
    for (Tensor* rows : {&view.tuned, &view.exported, &view.owed}) {
      Tensor weighted = Tensor::empty(rows->context(), rows->shape());
      for (int64_t t = 0; t < tokens; ++t) {
        kernels.scale(shares[static_cast<size_t>(t)], rows->row(t), weighted.row(t),
                      weighted.dim(1));
      }
      *rows = weighted;
    }
  }

  static constexpr size_t kKept = size_t{1} << 30;

  static Tensor difference(const Tensor& a, const Tensor& b) { return add(a, scale(b, -1.0f)); }

  size_t layers_a_block() const {
    return layers_.size() / static_cast<size_t>(exported_.lm.config().layers);
  }
  size_t index_of(std::string_view path) const {
    const auto found =
        std::ranges::find_if(layers_, [&](const Linear* layer) { return layer->path() == path; });
    check(found != layers_.end(), ErrorCode::kFailed, path, ": the model has no such layer");
    return static_cast<size_t>(found - layers_.begin());
  }

  void go_to_block(int64_t block) {
    check(block >= block_, ErrorCode::kFailed, "layers were asked for in the wrong order");
    for (; block_ < block; ++block_) {
      if (block_ >= 0) {
        if (!settled_.empty()) run_exported();
        tuned_.hidden = tuned_.output;
        exported_.hidden = exported_.output;
      }
      tuned_.run(block_ + 1, batch_);
      exported_.run(block_ + 1, batch_);
    }
  }

  void run_exported() {
    exported_.run(block_, batch_);
    settled_.clear();
  }

  // Whether a layer has been settled since the last run that stands before this one: all that were
  // settled stand before it, but for those of the same input.
  bool is_stale(const std::string& path) const {
    return std::ranges::any_of(settled_, [&](const std::string& settled) {
      return exported_.seen.at(settled).data() != exported_.seen.at(path).data();
    });
  }

  Model exported_model_;
  Batch batch_;
  Reader tuned_, exported_;
  std::vector<Linear*> layers_;       // of the exported model, in the order of the forward
  int64_t block_ = -1;                // that the readers are at
  std::vector<std::string> settled_;  // since the exported reader ran
};

}  // namespace

std::unique_ptr<LayerViews> view_layers(Model& tuned, const std::string& base,
                                        const OpenOptions& open, std::span<const TrainRow> rows) {
  if (rows.empty()) return nullptr;
  const ModelConfig& c = tuned.impl().need_causal_lm().config();
  // Both models' hidden states and inputs of a block, and what is summed from them.
  const int64_t a_token = 2 *
                          (6 * c.hidden_size + 2 * c.heads * c.head_dim + 4 * c.intermediate_size) *
                          static_cast<int64_t>(sizeof(float));
  const int64_t products =
      4 * c.intermediate_size * c.intermediate_size * static_cast<int64_t>(sizeof(float));
  const int64_t room = std::max<int64_t>(0, available_memory() - products) / 2;
  std::vector<const TrainRow*> all;
  for (const TrainRow& row : rows) all.push_back(&row);
  std::vector<MicroBatch> batches = collate(all, std::min(kMostCalibrationTokens, room / a_token));
  if (batches.empty()) return nullptr;
  return std::make_unique<TunedViews>(tuned, Model::open(base, open),
                                      std::move(batches.front().batch));
}

std::vector<TrainRow> calibration_rows(Model& tuned, std::span<const TrainRow> of_training,
                                       const std::function<void(int64_t, int64_t)>& on_progress) {
  constexpr int64_t kMostAnswerTokens = 64;
  constexpr int64_t kContext = 512;
  const std::span<const char* const> questions = everyday_questions();
  std::vector<TrainRow> rows;
  Generator generator(tuned, kContext);
  for (const char* question : questions) {
    if (on_progress) on_progress(std::ssize(rows), std::ssize(questions));
    GenerateRequest request = question_request(question);
    make_greedy(request, kMostAnswerTokens);
    const GenerateResult answer = generator.run(request);
    TrainRow row;
    row.ids = answer.prompt_ids;
    row.labels.assign(row.ids.size(), kIgnoreLabel);
    row.ids.insert(row.ids.end(), answer.ids.begin(), answer.ids.end());
    row.labels.insert(row.labels.end(), answer.ids.begin(), answer.ids.end());
    rows.push_back(std::move(row));
  }
  // In any order: not all may fit.
  const size_t asked = rows.size();
  rows.insert(rows.end(), of_training.begin(), of_training.end());
  Random random(1);
  shuffle(std::span(rows).subspan(asked), random);
  return rows;
}

RunViews views_of_run(const std::string& run, const std::string& base, const OpenOptions& open,
                      std::vector<std::string>& notes) {
  OpenOptions tuned_options = open;
  tuned_options.adapters = {run};
  RunViews result{std::make_unique<Model>(Model::open(base, tuned_options)), {}};
  Model& tuned = *result.tuned;
  std::string why = "there is no chat template";
  std::vector<TrainRow> rows;
  if (tuned.has_template()) {
    rows = rows_of_run(run, tuned.impl().need_tokenizer(), *tuned.impl().chat_template,
                       kMostCalibrationRows, why);
  }
  if (rows.empty()) {
    notes.push_back(
        "weights were rounded one by one, which loses what an adapter learned on a "
        "quantised base; the training data would prevent it, but " +
        why);
    return result;
  }
  result.views = view_layers(tuned, base, tuned_options, calibration_rows(tuned, rows, nullptr));
  return result;
}

}  // namespace zhiyin
