#include "api/tune_state.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "io/checkpoint.h"

namespace zhiyin {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::string_view kBest = "best.";

// A number that changes with any token, label or weight of the rows (FNV-1a).
uint64_t fingerprint(std::span<const TrainRow> rows) {
  uint64_t hash = 0xCBF29CE484222325U;
  const auto mix = [&](int64_t value) {
    hash = (hash ^ static_cast<uint64_t>(value)) * 0x100000001B3U;
  };
  for (const TrainRow& row : rows) {
    for (const int32_t id : row.ids) mix(id);
    for (const int32_t label : row.labels) mix(label);
    mix(static_cast<int64_t>(row.weight * 1000));
  }
  return hash;
}

Json json_of(const TuneState& s) {
  return {{"total_tokens", s.total_tokens},
          {"last_loss", s.last_loss},
          {"loss_sum", s.loss_sum},
          {"loss_count", s.loss_count},
          {"evaluated_at", s.evaluated_at},
          {"last_eval_loss", s.last_eval_loss},
          {"best_eval_loss", s.best_eval_loss},
          {"best_step", s.best_step},
          {"worse_in_a_row", s.worse_in_a_row}};
}

void read_json(const Json& json, TuneState& s) {
  json.at("total_tokens").get_to(s.total_tokens);
  json.at("last_loss").get_to(s.last_loss);
  json.at("loss_sum").get_to(s.loss_sum);
  json.at("loss_count").get_to(s.loss_count);
  json.at("evaluated_at").get_to(s.evaluated_at);
  json.at("last_eval_loss").get_to(s.last_eval_loss);
  json.at("best_eval_loss").get_to(s.best_eval_loss);
  json.at("best_step").get_to(s.best_step);
  json.at("worse_in_a_row").get_to(s.worse_in_a_row);
}

}  // namespace

bool TuneState::add_evaluation(int64_t step, double loss, const Trainer& trainer, bool keep) {
  evaluated_at = step;
  last_eval_loss = loss;
  if (best_step > 0 && loss >= best_eval_loss) {
    ++worse_in_a_row;
    return false;
  }
  best_eval_loss = loss;
  best_step = step;
  worse_in_a_row = 0;
  if (keep) {
    for (const Trainer::Parameter& p : trainer.parameters()) best[p.name] = p.value.to_vector();
  }
  return true;
}

Json tune_identity(const TuneConfig& c, std::span<const TrainRow> rows,
                   std::span<const TrainRow> held_out, const std::string& chat_template) {
  return {
      {"model_name_or_path", c.model},
      {"finetuning_type", c.full ? "full" : "lora"},
      {"quantization_bit", c.quantization_bit},
      {"template", chat_template},
      {"replay_refusals", c.replay_refusals},
      {"dataset (its rows)", fingerprint(rows)},
      {"eval_dataset or val_size (the rows held out)", fingerprint(held_out)},
      {"packing", c.packing},
      {"cutoff_len", c.cutoff_len},
      {"per_device_train_batch_size * gradient_accumulation_steps", c.batch_size * c.accumulation},
      {"adapter_name_or_path", c.adapter},
      {"lora_alpha", c.lora_alpha},
      {"use_rslora", c.rslora},
      {"lora_dropout", c.lora_dropout},
      {"learning_rate", c.learning_rate},
      {"lr_scheduler_type", c.schedule},
      {"num_train_epochs", c.epochs},
      {"max_steps", c.max_steps},
      {"warmup_ratio", c.warmup_ratio},
      {"warmup_steps", c.warmup_steps},
      {"warmup_from_zero", c.warmup_from_zero},
      {"weight_decay", c.weight_decay},
      {"max_grad_norm", c.max_grad_norm},
      {"seed", c.seed},
      {"eval_strategy", c.eval_strategy},
      {"eval_steps", c.eval_steps},
      {"early_stopping_steps", c.early_stopping_steps},
      {"load_best_model_at_end", c.load_best_model_at_end}};
}

void save_tune_checkpoint(const std::string& path, Trainer& trainer, const TuneState& state,
                          const Json& identity) {
  std::vector<NamedFloats> arrays;
  for (const Trainer::NamedArray& array : trainer.arrays()) {
    arrays.push_back({array.name, array.values});
  }
  for (const auto& [name, values] : state.best) arrays.push_back({cat(kBest, name), values});
  save_checkpoint(
      path,
      Json{{"step", trainer.step()}, {"state", json_of(state)}, {"identity", identity}}.dump(),
      arrays);
}

void load_tune_checkpoint(const std::string& path, Trainer& trainer, TuneState& state,
                          const Json& identity) {
  constexpr const char* kRemedy = "; set overwrite_output_dir: true to begin anew";
  Checkpoint saved = load_checkpoint(path);
  const Json json = Json::parse(saved.state, nullptr, /*allow_exceptions=*/false);
  check(json.is_object() && json.contains("step") && json.contains("state"), ErrorCode::kFailed,
        path, ": is not a checkpoint of this version", kRemedy);
  const Json was = json.value("identity", Json::object());
  for (const auto& [key, value] : identity.items()) {
    check(was.contains(key) && was[key] == value, ErrorCode::kFailed, path,
          ": was made with another ", key, kRemedy);
  }
  for (const Trainer::NamedArray& array : trainer.arrays()) {
    const auto found = saved.arrays.find(array.name);
    check(found != saved.arrays.end() && found->second.size() == array.values.size(),
          ErrorCode::kFailed, path, ": does not fit this configuration (", array.name, ")",
          kRemedy);
    std::copy(found->second.begin(), found->second.end(), array.values.begin());
  }
  for (auto& [name, values] : saved.arrays) {
    if (name.starts_with(kBest)) state.best[name.substr(kBest.size())] = std::move(values);
  }
  read_json(json["state"], state);
  trainer.set_step(json["step"].get<int64_t>());
}

}  // namespace zhiyin
