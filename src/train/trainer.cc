#include "train/trainer.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <numeric>

#include "autograd/tape.h"
#include "base/error.h"
#include "base/random.h"
#include "base/stopwatch.h"
#include "train/collate.h"

namespace zhiyin {
namespace {

std::vector<Tensor> values_of(std::span<const Trainer::Parameter> parameters) {
  std::vector<Tensor> values;
  for (const Trainer::Parameter& parameter : parameters) values.push_back(parameter.value);
  return values;
}

bool has_dropout(CausalLm& model) {
  for (const Linear* layer : model.linears()) {
    for (const Lora& lora : layer->adapters()) {
      if (lora.dropout > 0) return true;
    }
  }
  return false;
}

// A seed that two counters and the run's seed determine.
uint64_t derived_seed(uint64_t seed, uint64_t counter) {
  const auto bits = philox(seed, counter);
  return uint64_t{bits[0]} << 32 | bits[1];
}

// Streams of random numbers of one run must not meet.
constexpr uint64_t kOrderStream = uint64_t{1} << 56;
constexpr uint64_t kDropoutStream = uint64_t{2} << 56;

// Of what the way back through all blocks needs: inputs and outputs of norms, of rope, of
// attention, and gate and up of the feed-forward. These two are kept in bf16 where it is computed
// in one go, as f32 with their product where it is not (exact mode, matrices in f32, dropout).
int64_t activation_bytes_per_token(CausalLm& model, const Context& context, bool dropout) {
  const ModelConfig& c = model.config();
  const bool in_bf16 = context.precision() == Precision::kFast && !dropout &&
                       std::ranges::all_of(model.linears(), [](const Linear* layer) {
                         const Matrix& m = layer->matrix();
                         return m.frozen() && m.weight().format() != Format::kF32;
                       });
  const int64_t floats = 4 * c.hidden_size + 2 * (c.heads + c.kv_heads) * c.head_dim +
                         (in_bf16 ? 1 : 3) * c.intermediate_size;
  // Every adapter has an input of its own then.
  return c.layers * floats * static_cast<int64_t>(sizeof(float)) * (dropout ? 2 : 1);
}

double total_weight(std::span<const MicroBatch> batches) {
  double total = 0;
  for (const MicroBatch& b : batches) {
    for (size_t i = 0; i < b.labels.size(); ++i) {
      if (b.labels[i] != kIgnoreLabel) total += static_cast<double>(b.weights[i]);
    }
  }
  return total;
}

}  // namespace

std::vector<Trainer::Parameter> adapter_parameters(CausalLm& model) {
  std::vector<Trainer::Parameter> parameters;
  for (Linear* layer : model.linears()) {
    if (layer->adapters().empty()) continue;
    const Lora& lora = layer->adapters().back();
    parameters.push_back({layer->path() + ".lora_a", lora.a});
    parameters.push_back({layer->path() + ".lora_b", lora.b});
  }
  return parameters;
}

Trainer::Trainer(CausalLm& model, Context& context, const TrainOptions& options,
                 std::vector<Parameter> parameters)
    : model_(model),
      context_(context),
      options_(options),
      parameters_(std::move(parameters)),
      optimizer_(values_of(parameters_), options.adamw),
      bytes_per_token_(activation_bytes_per_token(model, context, has_dropout(model))) {
  check(!parameters_.empty(), ErrorCode::kFailed, "training: the model has nothing to train");
  check(options.rows_per_step > 0 && options.tokens_per_batch > 0, ErrorCode::kUsage,
        "training: an update of ", options.rows_per_step, " rows in batches of ",
        options.tokens_per_batch, " tokens cannot be; both must be above 0");
  // Activations come and go with every update; the system would clear their pages each time.
  context.allocator().keep_at_most(static_cast<size_t>(kept_bytes()));
}

RunLength Trainer::length(int64_t units) const {
  return {.rows = units,
          .rows_per_step = options_.rows_per_step,
          .epochs = options_.epochs,
          .max_steps = options_.max_steps};
}

int64_t Trainer::total_steps(int64_t units) const { return length(units).updates(); }

std::vector<int64_t> Trainer::units_of_step(int64_t step, int64_t units) const {
  const int64_t an_epoch = length(units).updates_an_epoch();
  const int64_t epoch = step / an_epoch, begin = step % an_epoch * options_.rows_per_step;
  std::vector<int64_t> order(static_cast<size_t>(units));
  std::iota(order.begin(), order.end(), 0);
  Random random(derived_seed(options_.seed, kOrderStream + static_cast<uint64_t>(epoch)));
  shuffle(std::span(order), random);
  const int64_t end = std::min(units, begin + options_.rows_per_step);
  return {order.begin() + begin, order.begin() + end};
}

int64_t Trainer::memory_bytes(int64_t longest_row) const {
  const ModelConfig& c = model_.config();
  constexpr auto kFloat = static_cast<int64_t>(sizeof(float));
  int64_t trained = 0;
  for (const Parameter& parameter : parameters_) trained += parameter.value.elements();
  // A batch takes rows as long as they fit, and a longer row alone.
  const int64_t tokens = std::max(
      longest_row, std::min(options_.tokens_per_batch, options_.rows_per_step * longest_row));
  // Kept for all blocks; else the inputs of all blocks and the inside of one, forth and back.
  const int64_t activations =
      keeps_activations(tokens)
          ? tokens * bytes_per_token_
          : tokens * (c.layers * c.hidden_size * kFloat + 2 * bytes_per_token_ / c.layers);
  const int64_t logits = std::min(tokens, kLossChunkRows) * c.vocab_size * kFloat;
  // Blocks of memory are up to an eighth larger than asked for, and released ones are kept.
  const int64_t allocated = activations + activations / 8 + std::min(activations, kept_bytes());
  // Values, gradients and two moments.
  return 4 * kFloat * trained + allocated + logits;
}

int64_t Trainer::kept_bytes() const {
  constexpr int64_t kLeastKept = int64_t{64} << 20;
  return std::max(kLeastKept, options_.activation_bytes / 2);
}

void Trainer::set_dropout_seeds(int64_t micro_batch) {
  // Below 2^16 batches an update and 2^32 updates the counters differ.
  const uint64_t counter =
      kDropoutStream + (static_cast<uint64_t>(step_) << 16) + static_cast<uint64_t>(micro_batch);
  const uint64_t of_batch = derived_seed(options_.seed, counter);
  uint64_t layer_number = 0;
  for (Linear* layer : model_.linears()) {
    ++layer_number;
    // 0 means no dropout.
    for (Lora& lora : layer->adapters()) {
      lora.dropout_seed = derived_seed(of_batch, layer_number) | 1;
    }
  }
}

void Trainer::clear_dropout_seeds() {
  for (Linear* layer : model_.linears()) {
    for (Lora& lora : layer->adapters()) lora.dropout_seed = 0;
  }
}

Trainer::WindowResult Trainer::window(std::span<const TrainRow* const> rows) {
  const std::vector<MicroBatch> batches = collate(rows, options_.tokens_per_batch);
  const double weight = total_weight(batches);
  check(weight > 0, ErrorCode::kFailed, "training: ", rows.size(),
        " rows of an update have no label to learn");
  // The way back computes blocks again and needs the same seeds, so they stay until it is over.
  struct Clear {
    Trainer* trainer;
    ~Clear() { trainer->clear_dropout_seeds(); }
  } clear{this};
  WindowResult result;
  result.gradients.resize(parameters_.size());
  Gradients sum;
  for (size_t i = 0; i < batches.size(); ++i) {
    const MicroBatch& b = batches[i];
    set_dropout_seeds(static_cast<int64_t>(i));
    Tape tape;
    for (const Parameter& parameter : parameters_) tape.watch(parameter.value);
    const auto tokens = static_cast<int64_t>(b.batch.ids.size());
    const Tensor hidden = model_.forward(
        b.batch,
        {.cache = nullptr, .on_hidden = {}, .keep_activations = keeps_activations(tokens)});
    const Tensor loss = linear_cross_entropy(hidden, model_.head(), b.labels, b.weights);
    result.loss += static_cast<double>(loss.item()) / weight;
    result.tokens += tokens;
    const float share[] = {static_cast<float>(1.0 / weight)};
    const Gradients gradients = tape.backward(loss, Tensor::from(context_, {1}, share));
    for (const Parameter& parameter : parameters_) {
      const Tensor gradient = gradients.of(parameter.value);
      if (gradient.defined()) sum.add(parameter.value.id(), gradient);
    }
  }
  for (size_t i = 0; i < parameters_.size(); ++i) {
    result.gradients[i] = sum.take(parameters_[i].value.id());
  }
  return result;
}

StepLog Trainer::update(std::span<const TrainRow* const> rows, double rate) {
  const auto start = std::chrono::steady_clock::now();
  const WindowResult result = window(rows);
  const double norm = global_norm(result.gradients);
  check(std::isfinite(norm) && std::isfinite(result.loss), ErrorCode::kFailed, "training: update ",
        step_ + 1, " has the loss ", result.loss, " and the gradient norm ", norm,
        "; lower learning_rate (now ", rate, ")");
  optimizer_.update(result.gradients, step_ + 1, rate, clip_factor(norm, options_.max_grad_norm));
  ++step_;
  return {.step = step_,
          .total = 0,
          .loss = result.loss,
          .rate = rate,
          .grad_norm = norm,
          .tokens = result.tokens,
          .seconds = seconds_since(start)};
}

void Trainer::run(std::span<const TrainRow> rows,
                  const std::function<bool(const StepLog&)>& on_step) {
  run(single_units(rows), on_step);
}

void Trainer::run(std::span<const TrainUnit> units,
                  const std::function<bool(const StepLog&)>& on_step) {
  const auto count = static_cast<int64_t>(units.size());
  check(count > 0, ErrorCode::kFailed, "training: there are no rows");
  const int64_t total = total_steps(count);
  const int64_t warmup =
      options_.warmup_steps > 0
          ? options_.warmup_steps
          : static_cast<int64_t>(std::ceil(options_.warmup_ratio * static_cast<double>(total)));
  const Schedule schedule{.kind = options_.schedule,
                          .peak = options_.learning_rate,
                          .warmup_steps = warmup,
                          .total_steps = total,
                          .from_zero = options_.warmup_from_zero};
  while (step_ < total) {
    std::vector<const TrainRow*> window_rows;
    for (const int64_t i : units_of_step(step_, count)) {
      const TrainUnit& unit = units[static_cast<size_t>(i)];
      window_rows.insert(window_rows.end(), unit.begin(), unit.end());
    }
    StepLog log = update(window_rows, schedule.rate(step_));
    log.total = total;
    if (!on_step(log)) return;
  }
}

double Trainer::evaluate(std::span<const TrainRow> rows) {
  std::vector<const TrainRow*> all;
  for (const TrainRow& row : rows) all.push_back(&row);
  const std::vector<MicroBatch> batches = collate(all, options_.tokens_per_batch);
  double sum = 0;
  for (const MicroBatch& b : batches) {
    const Tensor hidden = model_.forward(b.batch, {});
    sum += static_cast<double>(
        linear_cross_entropy(hidden, model_.head(), b.labels, b.weights).item());
  }
  return sum / total_weight(batches);
}

std::vector<Trainer::NamedArray> Trainer::arrays() {
  std::vector<NamedArray> all;
  const auto add = [&](const std::string& name, Tensor& tensor) {
    all.push_back({name, {tensor.data(), static_cast<size_t>(tensor.elements())}});
  };
  for (size_t i = 0; i < parameters_.size(); ++i) {
    Parameter& parameter = parameters_[i];
    add(parameter.name, parameter.value);
    add(parameter.name + ".m", optimizer_.first_moments()[i]);
    add(parameter.name + ".v", optimizer_.second_moments()[i]);
  }
  return all;
}

}  // namespace zhiyin
