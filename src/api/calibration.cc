#include "api/calibration.h"

#include <algorithm>

#include "api/model_impl.h"
#include "api/parity.h"
#include "train/collate.h"

namespace zhiyin {

LayerInputs inputs_of_layers(Model& model, std::span<const TrainRow> rows) {
  constexpr int64_t kMostTokens = 4096;
  LayerInputs inputs;
  if (rows.empty()) return inputs;
  CausalLm& lm = model.impl().need_causal_lm();
  const ModelConfig& c = lm.config();
  // q, k and v share an input, as do gate and up.
  const int64_t a_token = c.layers *
                          (2 * c.hidden_size + c.heads * c.head_dim + c.intermediate_size) *
                          static_cast<int64_t>(sizeof(float));
  const int64_t tokens = std::min(kMostTokens, available_memory() / 3 / a_token);
  std::vector<const TrainRow*> all;
  for (const TrainRow& row : rows) all.push_back(&row);
  const std::vector<MicroBatch> batches = collate(all, tokens);
  if (batches.empty()) return inputs;
  for (Linear* layer : lm.linears()) {
    layer->on_input() = [&inputs, layer](const Tensor& x) { inputs[layer->path()] = x; };
  }
  lm.forward(batches.front().batch, {});
  for (Linear* layer : lm.linears()) layer->on_input() = nullptr;
  return inputs;
}

RunInputs inputs_of_run(const std::string& run, const std::string& base, const OpenOptions& open,
                        std::vector<std::string>& notes) {
  constexpr size_t kRows = 192;
  OpenOptions tuned_options = open;
  tuned_options.adapters = {run};
  RunInputs result{std::make_unique<Model>(Model::open(base, tuned_options)), {}};
  Model& tuned = *result.tuned;
  std::string why = "there is no chat template";
  std::vector<TrainRow> rows;
  if (tuned.has_template()) {
    rows = rows_of_run(run, tuned.impl().need_tokenizer(), *tuned.impl().chat_template, kRows, why);
  }
  if (rows.empty()) {
    notes.push_back(
        "weights were rounded one by one, which loses what an adapter learned on a "
        "quantised base; the training data would prevent it, but " +
        why);
  }
  result.inputs = inputs_of_layers(tuned, rows);
  return result;
}

}  // namespace zhiyin
