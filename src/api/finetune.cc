#include "zhiyin/finetune.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <sstream>

#include "api/model_impl.h"
#include "api/tune_rows.h"
#include "base/error.h"
#include "base/file.h"
#include "base/progress.h"
#include "base/random.h"
#include "export/modelfile.h"
#include "io/checkpoint.h"
#include "io/lora_file.h"
#include "nn/attach_adapter.h"
#include "train/lora.h"
#include "train/trainer.h"

namespace zhiyin {
namespace {

using Json = nlohmann::ordered_json;
namespace fs = std::filesystem;

// Fewer updates than this leave a model nearly as it was.
constexpr int64_t kFewUpdates = 100;

std::string template_text(const TuneConfig& config, const Model::Impl& model) {
  for (const char* name : {"qwen", "chatml", "qwen2_5"}) {
    if (config.chat_template == name) return kChatMlTemplate;
  }
  check(config.chat_template.empty() || config.chat_template == "auto", ErrorCode::kUnsupported,
        "template: ", config.chat_template,
        " is not built in; use qwen (ChatML) or leave it out for the model's own");
  check(model.chat_template.has_value(), ErrorCode::kUnsupported, model.files.path,
        ": the base has no chat template; set template: qwen");
  return model.chat_template->source();
}

// Where training begins.
LoraAdapter first_adapter(const TuneConfig& config, const Model::Impl& model,
                          std::span<Linear* const> layers) {
  const ModelConfig& c = *model.files.config;
  LoraAdapter adapter;
  if (config.adapter.empty()) {
    adapter = new_adapter(layers, {.rank = config.lora_rank,
                                   .alpha = config.lora_alpha,
                                   .rslora = config.rslora,
                                   .dropout = config.lora_dropout,
                                   .targets = config.lora_targets,
                                   .seed = config.seed});
    adapter.rope_pairs = c.rope.adjacent;
  } else {
    adapter = read_lora_adapter(config.adapter);
    adapter.dropout = config.lora_dropout;
    set_rope_pairs(adapter, c.rope.adjacent, c.head_dim);
  }
  adapter.base_model = config.model;
  return adapter;
}

TrainOptions train_options(const TuneConfig& config) {
  // Enough for what a small model computes at a time; a large one computes blocks again.
  constexpr int64_t kMostActivations = int64_t{2} << 30;
  TrainOptions options;
  options.learning_rate = config.learning_rate;
  options.schedule = schedule_kind(config.schedule);
  options.warmup_steps = config.warmup_steps;
  options.warmup_ratio = config.warmup_ratio;
  options.epochs = config.epochs;
  options.max_steps = config.max_steps;
  options.rows_per_step = config.batch_size * config.accumulation;
  options.adamw.weight_decay = config.weight_decay;
  options.max_grad_norm = config.max_grad_norm;
  options.seed = config.seed;
  options.activation_bytes = std::min(available_memory() / 4, kMostActivations);
  return options;
}

// Takes rows out of `rows` for the evaluation: a share below 1, else a number of them.
std::vector<TrainRow> hold_out(std::vector<TrainRow>& rows, double val_size, uint64_t seed) {
  const auto all = static_cast<double>(rows.size());
  const auto count = static_cast<size_t>(val_size < 1 ? std::ceil(val_size * all) : val_size);
  check(val_size >= 0 && count < rows.size(), ErrorCode::kUsage, "val_size: ", val_size,
        " leaves nothing of ", rows.size(), " rows to train on");
  std::vector<TrainRow> held;
  Random random(seed);
  while (held.size() < count) {
    const auto at = static_cast<std::ptrdiff_t>(random.below(rows.size()));
    held.push_back(std::move(rows[static_cast<size_t>(at)]));
    rows.erase(rows.begin() + at);
  }
  return held;
}

// What must be the same for a checkpoint to go on from, by the keys of the configuration.
Json essentials(const TuneConfig& c, const std::vector<TrainRow>& rows, const std::string& text) {
  int64_t tokens = 0;
  for (const TrainRow& row : rows) tokens += static_cast<int64_t>(row.ids.size());
  return {{"model_name_or_path", c.model},
          {"template", text},
          {"rows", rows.size()},
          {"tokens", tokens},
          {"rows of an update", c.batch_size * c.accumulation},
          {"lora_alpha", c.lora_alpha},
          {"use_rslora", c.rslora},
          {"lora_dropout", c.lora_dropout},
          {"learning_rate", c.learning_rate},
          {"lr_scheduler_type", c.schedule},
          {"num_train_epochs", c.epochs},
          {"max_steps", c.max_steps},
          {"warmup_ratio", c.warmup_ratio},
          {"warmup_steps", c.warmup_steps},
          {"weight_decay", c.weight_decay},
          {"max_grad_norm", c.max_grad_norm},
          {"seed", c.seed}};
}

// Lines of a log up to an update; those after it are of a run that a checkpoint does not hold.
std::string log_until(const std::string& path, int64_t step) {
  std::string kept;
  if (step == 0 || !file_exists(path)) return kept;
  std::istringstream in(read_file(path));
  for (std::string line; std::getline(in, line);) {
    const Json json = Json::parse(line, nullptr, /*allow_exceptions=*/false);
    if (json.is_object() && json.value("current_steps", step + 1) <= step) kept += line + "\n";
  }
  return kept;
}

}  // namespace

struct Tuner::Impl {
  TuneConfig config;
  Model model;
  // Of the run.
  std::vector<Linear*> layers;
  LoraAdapter adapter;
  Json identity;
  std::string log;

  Impl(const TuneConfig& c, const OpenOptions& open)
      : config(c), model(Model::open(c.model, open)) {}

  std::string path(const char* name) const { return config.output_dir + "/" + name; }

  TuneResult run(const TuneCallbacks& callbacks) {
    Model::Impl& impl = model.impl();
    const std::string chat_template = template_text(config, impl);
    const ChatTemplate renderer(chat_template, "template");
    TuneRows data(config, impl.need_tokenizer(), renderer);
    for (const std::string& name : config.datasets) data.add_dataset(name);
    check_rows(data);
    const std::vector<TrainRow> held_out = hold_out(data.rows, config.val_size, config.seed);
    identity = essentials(config, data.rows, chat_template);

    CausalLm& lm = impl.need_causal_lm();
    layers = lm.linears();
    adapter = first_adapter(config, impl, layers);
    attach_adapter(*impl.context, adapter, layers, "the adapter to train");
    Trainer trainer(lm, *impl.context, train_options(config));

    fs::create_directories(config.output_dir);
    resume(trainer);
    if (callbacks.on_plan) {
      TunePlan plan = make_plan(data, trainer);
      plan.held_out = static_cast<int64_t>(held_out.size());
      callbacks.on_plan(plan);
    }
    write_file(path("chat_template.jinja"), chat_template);
    write_file(path("train_config.yaml"), config.text);
    return train(trainer, data.rows, held_out, callbacks);
  }

  void check_rows(const TuneRows& data) const {
    std::vector<std::string> reasons;
    for (const auto& [reason, count] : data.left_out) reasons.push_back(cat(count, " × ", reason));
    check(!data.rows.empty(), ErrorCode::kFailed, "no row is left to learn from: ",
          reasons.empty() ? std::string("the data sets are empty") : join(reasons));
    // A model that never saw the end of an answer never stops.
    const std::map<int32_t, std::string> stops = model.impl().stop_set();
    for (const TrainRow& row : data.rows) {
      for (const int32_t label : row.labels) {
        if (stops.contains(label)) return;
      }
    }
    fail(ErrorCode::kUnsupported, model.impl().files.path,
         ": no answer ends with a token at which this model stops; set template: qwen, or use a "
         "base made for chat");
  }

  void resume(Trainer& trainer) {
    const std::string file = path("checkpoint.safetensors");
    if (config.overwrite_output_dir && !config.resume) {
      fs::remove(file);  // or a run that is killed at once would go on from it
      return;
    }
    if (!file_exists(file)) return;
    const Checkpoint saved = load_checkpoint(file);
    const Json state = Json::parse(saved.state);
    const Json was = state.value("identity", Json::object());
    constexpr const char* kRemedy = "; set overwrite_output_dir: true to begin anew";
    for (const auto& [key, value] : identity.items()) {
      check(was.contains(key) && was[key] == value, ErrorCode::kFailed, file,
            ": was made with another ", key, kRemedy);
    }
    for (const Trainer::NamedArray& array : trainer.arrays()) {
      const auto found = saved.arrays.find(array.name);
      check(found != saved.arrays.end() && found->second.size() == array.values.size(),
            ErrorCode::kFailed, file, ": does not fit this configuration (", array.name, ")",
            kRemedy);
      std::copy(found->second.begin(), found->second.end(), array.values.begin());
    }
    trainer.set_step(state.at("step").get<int64_t>());
  }

  void save(Trainer& trainer) {
    std::vector<NamedFloats> arrays;
    for (const Trainer::NamedArray& array : trainer.arrays()) {
      arrays.push_back({array.name, array.values});
    }
    save_checkpoint(path("checkpoint.safetensors"),
                    Json{{"step", trainer.step()}, {"identity", identity}}.dump(), arrays);
    write_peft_adapter(config.output_dir, adapter_of(layers, adapter),
                       model.impl().files.config->head_dim);
  }

  TunePlan make_plan(const TuneRows& data, const Trainer& trainer) const {
    TunePlan plan;
    plan.rows = static_cast<int64_t>(data.rows.size());
    for (const TrainRow& row : data.rows) {
      plan.tokens += static_cast<int64_t>(row.ids.size());
      plan.labels += row.label_count();
    }
    plan.updates = trainer.total_steps(plan.rows);
    plan.resumed_at = trainer.step();
    for (const std::string& key : config.ignored) plan.notes.push_back("ignored " + key);
    for (const auto& [reason, count] : data.left_out) {
      plan.notes.push_back(cat("left out ", count, ": ", reason));
    }
    if (data.split > 0) {
      plan.notes.push_back(cat(data.split, " conversations longer than cutoff_len ",
                               config.cutoff_len, " are split between exchanges"));
    }
    if (plan.updates < kFewUpdates && config.max_steps == 0) {
      const double epochs = std::ceil(config.epochs * static_cast<double>(kFewUpdates) /
                                      static_cast<double>(std::max<int64_t>(1, plan.updates)));
      plan.notes.push_back(cat(
          plan.updates, " updates are few for the model to change; try ",
          config.batch_size * config.accumulation > 4 ? "gradient_accumulation_steps: 4 or " : "",
          "num_train_epochs: ", epochs));
    }
    return plan;
  }

  void log_line(const Json& line) {
    log += line.dump() + "\n";
    write_file(path("trainer_log.jsonl"), log);
  }

  TuneResult train(Trainer& trainer, const std::vector<TrainRow>& rows,
                   const std::vector<TrainRow>& held_out, const TuneCallbacks& callbacks) {
    TuneResult result;
    result.output_dir = config.output_dir;
    const auto start = std::chrono::steady_clock::now();
    const auto elapsed = [&] {
      return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    };
    const int64_t first = trainer.step();
    result.updates = first;
    log = log_until(path("trainer_log.jsonl"), first);
    const auto evaluate = [&](int64_t step, int64_t total) {
      result.eval_loss = trainer.evaluate(held_out);
      log_line({{"current_steps", step}, {"total_steps", total}, {"eval_loss", result.eval_loss}});
    };
    try {
      trainer.run(rows, [&](const StepLog& step) {
        result.updates = step.step;
        result.loss = step.loss;
        if (callbacks.on_step) {
          callbacks.on_step({step.step, step.total, step.loss, step.rate, step.grad_norm,
                             static_cast<double>(step.tokens) / std::max(1e-9, step.seconds)});
        }
        const bool last = step.step == step.total;
        if (last || step.step % config.logging_steps == 0) {
          const double share = static_cast<double>(step.step) / static_cast<double>(step.total);
          const double left = elapsed() / static_cast<double>(step.step - first) *
                              static_cast<double>(step.total - step.step);
          const double updates_an_epoch =
              std::ceil(static_cast<double>(rows.size()) /
                        static_cast<double>(config.batch_size * config.accumulation));
          log_line(
              {{"current_steps", step.step},
               {"total_steps", step.total},
               {"loss", step.loss},
               {"lr", step.rate},
               {"epoch", std::round(static_cast<double>(step.step) / updates_an_epoch * 100) / 100},
               {"percentage", std::round(share * 10000) / 100},
               {"elapsed_time", duration_text(elapsed())},
               {"remaining_time", duration_text(left)}});
        }
        const auto every = [&](int64_t steps) { return steps > 0 && step.step % steps == 0; };
        if (!held_out.empty() && (last || every(config.eval_steps))) {
          evaluate(step.step, step.total);
        }
        if (!last && every(config.save_steps)) save(trainer);
        return true;
      });
    } catch (const Cancelled&) {
      save(trainer);
      fail(ErrorCode::kFailed, "stopped after ", trainer.step(),
           " updates; the same command with resume_from_checkpoint=true goes on from there");
    }
    // Also where the checkpoint held the last update already, as after a kill while writing.
    save(trainer);
    result.seconds = elapsed();
    return result;
  }
};

Tuner::Tuner(const TuneConfig& config, const OpenOptions& open) {
  OpenOptions options = open;
  options.prepare = false;  // training reads the weights as they lie in the file
  impl_ = std::make_unique<Impl>(config, options);
}
Tuner::~Tuner() = default;

TuneResult Tuner::run(const TuneCallbacks& callbacks) { return impl_->run(callbacks); }
void Tuner::cancel() noexcept { impl_->model.cancel(); }

}  // namespace zhiyin
