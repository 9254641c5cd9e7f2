#include "zhiyin/finetune.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "api/model_impl.h"
#include "api/tune_log.h"
#include "api/tune_model.h"
#include "api/tune_plan.h"
#include "api/tune_replay.h"
#include "api/tune_rows.h"
#include "api/tune_state.h"
#include "api/tune_template.h"
#include "base/error.h"
#include "base/file.h"
#include "base/random.h"

namespace zhiyin {
namespace {

namespace fs = std::filesystem;

TrainOptions train_options(const TuneConfig& config, int64_t updates) {
  // Enough for what a small model computes at a time; a large one computes blocks again.
  constexpr int64_t kMostActivations = int64_t{2} << 30;
  TrainOptions options;
  options.learning_rate = config.learning_rate;
  options.schedule = schedule_kind(config.schedule);
  options.warmup_steps = steps_of(config.warmup_steps, updates);
  options.warmup_ratio = config.warmup_ratio;
  options.warmup_from_zero = config.warmup_from_zero;
  options.epochs = config.epochs;
  options.max_steps = config.max_steps;
  options.rows_per_step = config.batch_size * config.accumulation;
  options.adamw.weight_decay = config.weight_decay;
  options.max_grad_norm = config.max_grad_norm;
  options.seed = config.seed;
  options.activation_bytes = std::min(available_memory() / 4, kMostActivations);
  return options;
}

// A checkpoint is made at least so often, whatever save_steps says: small data has fewer updates
// than LLaMA-Factory's 500, and a kill would lose them all. It changes nothing of the result.
constexpr double kMostUnsavedSeconds = 300;

constexpr const char* kReplayFile = "replayed_refusals.jsonl";

// Takes rows out of `rows` for the evaluation: a share below 1, else a number of them.
std::vector<TrainRow> hold_out(std::vector<TrainRow>& rows, double val_size, uint64_t seed) {
  const auto all = static_cast<double>(rows.size());
  const auto count = static_cast<size_t>(val_size < 1 ? std::ceil(val_size * all) : val_size);
  check(count < rows.size(), ErrorCode::kUsage, "val_size: ", val_size, " leaves nothing of ",
        rows.size(), " rows to train on");
  std::vector<TrainRow> held;
  Random random(seed);
  while (held.size() < count) {
    const auto at = static_cast<std::ptrdiff_t>(random.below(rows.size()));
    held.push_back(std::move(rows[static_cast<size_t>(at)]));
    rows.erase(rows.begin() + at);
  }
  return held;
}

// The result may not mix with a model of another kind, least of all with its base.
void check_output_dir(const TuneConfig& config) {
  check(!fs::exists(config.output_dir) || fs::is_directory(config.output_dir), ErrorCode::kUsage,
        "output_dir: ", config.output_dir, " is a file; name a folder");
  const auto holds = [&](const char* name) { return file_exists(config.output_dir + "/" + name); };
  if (config.full) {
    check(!holds("adapter_config.json"), ErrorCode::kUsage, "output_dir: ", config.output_dir,
          " holds an adapter; name another folder for finetuning_type: full");
    // What such a run wrote before is known by its log.
    check(holds("trainer_log.jsonl") || !(holds("config.json") || holds("model.gguf")),
          ErrorCode::kUsage, "output_dir: ", config.output_dir,
          " holds a model that no tuning run wrote; name another folder");
  } else {
    for (const char* name : {"config.json", "model.safetensors", "model.gguf"}) {
      check(!holds(name), ErrorCode::kUsage, "output_dir: ", config.output_dir, " holds a model (",
            name, "); name another folder for the adapter");
    }
  }
}

int64_t tokens_of(const std::vector<TrainRow>& rows) {
  int64_t tokens = 0;
  for (const TrainRow& row : rows) tokens += static_cast<int64_t>(row.ids.size());
  return tokens;
}

int64_t longest_of(const std::vector<TrainRow>& rows) {
  int64_t longest = 0;
  for (const TrainRow& row : rows) {
    longest = std::max(longest, static_cast<int64_t>(row.ids.size()));
  }
  return longest;
}

}  // namespace

struct Tuner::Impl {
  TuneConfig config;
  Model model;

  // Of the run.
  std::string chat_template;
  std::vector<TrainRow> rows, held_out;
  std::optional<RefusalReplay> replay;
  std::vector<TrainUnit> units;
  std::optional<TunedModel> tuned;
  std::optional<Trainer> trainer;
  nlohmann::ordered_json identity, replay_made_with;
  TuneState state;
  TunePlan plan;

  Impl(const TuneConfig& c, const OpenOptions& open)
      : config(c), model(Model::open(c.model, open)) {
    // Training reads the weights as they lie in the file, where their packed form is no faster.
    model.impl().options.prepare = model.impl().context->kernels().fast_packed_panels;
  }

  std::string path(const char* name) const { return config.output_dir + "/" + name; }
  int64_t updates_an_epoch() const {
    const int64_t per_step = config.batch_size * config.accumulation;
    return (static_cast<int64_t>(units.size()) + per_step - 1) / per_step;
  }

  TuneResult run(const TuneCallbacks& callbacks) {
    check_output_dir(config);
    chat_template = tuning_template(config, model.impl());
    read_rows(callbacks);
    plan_updates();
    tuned.emplace(config, model.impl());
    trainer.emplace(tuned->lm(), *model.impl().context, train_options(config, plan.updates),
                    tuned->parameters());
    identity = tune_identity(config, rows, held_out, chat_template);
    TuneResult result;
    result.output_dir = config.output_dir;
    fs::create_directories(config.output_dir);
    remove_leftovers(config.output_dir);
    resume();
    plan_cost();
    if (callbacks.on_plan && !callbacks.on_plan(plan)) return result;
    write_file(path("chat_template.jinja"), chat_template);
    write_file(path("train_config.yaml"), config.text);
    if (replay) replay->write(path(kReplayFile), replay_made_with);
    // The names that answers may hold go where the model goes.
    const std::string stickers = config.dataset_dir + "/stickers.json";
    if (file_exists(stickers)) write_file(path("stickers.json"), read_file(stickers));
    train(callbacks, result);
    return result;
  }

  // ---- rows

  void read_rows(const TuneCallbacks& callbacks) {
    const ChatTemplate renderer(chat_template, "template");
    const Tokenizer& tokenizer = model.impl().need_tokenizer();
    TuneRows data(config, tokenizer, renderer);
    for (const std::string& name : config.datasets) data.add_dataset(name);
    check_rows(data);
    TuneRows eval_data(config, tokenizer, renderer);
    for (const std::string& name : config.eval_datasets) eval_data.add_dataset(name);
    rows = std::move(data.rows);
    held_out = config.eval_datasets.empty() ? hold_out(rows, config.val_size, config.seed)
                                            : std::move(eval_data.rows);
    check(config.eval_datasets.empty() || !held_out.empty(), ErrorCode::kFailed,
          "eval_dataset: ", join(config.eval_datasets), " has no row with an answer");
    if (config.replay_refusals > 0) add_replay(renderer, data.systems, callbacks);
    units = config.packing ? packed_units(rows, config.cutoff_len) : single_units(rows);
    note_rows(data);
  }

  // Refusals of the base as further rows. What it said stays in output_dir with the run.
  void add_replay(const ChatTemplate& renderer, const std::map<std::string, int64_t>& systems,
                  const TuneCallbacks& callbacks) {
    // As the conversations are begun, most of them at least.
    const auto by_count = [](const auto& a, const auto& b) { return a.second < b.second; };
    const std::string& system = std::ranges::max_element(systems, by_count)->first;
    int64_t base_bytes = 0;
    for (const TensorEntry& tensor : model.impl().files.tensors) {
      base_bytes += static_cast<int64_t>(tensor.bytes);
    }
    replay_made_with = {{"base", config.model},
                        {"base_bytes", base_bytes},
                        {"template", chat_template},
                        {"system", system}};
    const bool anew = config.overwrite_output_dir && !config.resume;
    if (!anew && file_exists(path(kReplayFile))) {
      replay = RefusalReplay::read(path(kReplayFile), replay_made_with);
    }
    if (!replay) {
      replay = RefusalReplay::ask_base(model, renderer, system, callbacks.on_replay);
      // Where training opens the base in a way of its own, this one only takes memory.
      if (config.full || config.quantization_bit > 0) model.impl().causal_lm.reset();
    }
    TuneRows refusals(config, model.impl().need_tokenizer(), renderer);
    for (nlohmann::ordered_json& messages : replay->conversations(system)) {
      refusals.add_conversation(std::move(messages), 1);
    }
    for (const auto& [reason, count] : replay->left_out()) {
      note(cat("replay_refusals: left out ", count, ": ", reason.english),
           cat("replay_refusals：略去 ", count, "：", reason.chinese));
    }
    if (refusals.rows.empty()) {
      note("replay_refusals: the base refused nothing that can be replayed",
           "replay_refusals：原模型没有可以重放的拒答");
      return;
    }
    const float weight = replay_weight(rows, refusals.rows, config.replay_refusals);
    plan.replayed = static_cast<int64_t>(refusals.rows.size());
    const size_t asked = replay->answers().size();
    note(cat("replay_refusals: ", plan.replayed, " of ", asked,
             " answers of the base are trained on, with the weight ", weight),
         cat("replay_refusals：原模型的 ", asked, " 个回答中有 ", plan.replayed,
             " 个参与训练，权重 ", weight));
    for (TrainRow& row : refusals.rows) {
      row.weight = weight;
      rows.push_back(std::move(row));
    }
  }

  void check_rows(const TuneRows& data) const {
    std::vector<std::string> reasons;
    for (const auto& [reason, count] : data.left_out) {
      reasons.push_back(cat(count, " × ", reason.english));
    }
    check(!data.rows.empty(), ErrorCode::kFailed, config.dataset_dir, ": ", join(config.datasets),
          ": no row is left to learn from: ",
          reasons.empty() ? std::string("the data sets are empty") : join(reasons));
    // A model that never saw the end of an answer never stops.
    const std::map<int32_t, std::string> stops = model.impl().stop_set();
    for (const TrainRow& row : data.rows) {
      for (const int32_t label : row.labels) {
        if (stops.contains(label)) return;
      }
    }
    fail(ErrorCode::kUnsupported, model.impl().files.path,
         ": no answer ends with a token at which this model stops; set template: chatml, or use a "
         "base made for chat");
  }

  void note(std::string english, std::string chinese) {
    plan.notes.push_back({std::move(english), std::move(chinese)});
  }

  void note_rows(const TuneRows& data) {
    for (const TuneNote& key : config.ignored) {
      note("ignored " + key.english, "忽略 " + key.chinese);
    }
    for (const auto& [reason, count] : data.left_out) {
      note(cat("left out ", count, ": ", reason.english),
           cat("略去 ", count, "：", reason.chinese));
    }
    if (data.split > 0) {
      note(cat(data.split, " conversations longer than cutoff_len ", config.cutoff_len,
               " are split between exchanges; no answer is cut"),
           cat(data.split, " 段对话超过 cutoff_len ", config.cutoff_len,
               "，在问答之间拆开；没有回答被截断"));
    }
    if (data.shortened > 0) {
      note(cat(data.shortened, " questions lost their beginning, so that their answers fit"),
           cat(data.shortened, " 个问题去掉了开头，好让回答放得下"));
    }
    const auto none = data.systems.find("");
    if (none != data.systems.end() && config.chat_template == "qwen" && config.system.empty()) {
      note(cat(none->second, " rows have no system message and get \"", kQwenSystem,
               "\" as in LLaMA-Factory; template: chatml adds none, default_system: another"),
           cat(none->second, " 行没有系统消息，按 LLaMA-Factory 的做法加上“", kQwenSystem,
               "”；template: chatml 不加，default_system: 加别的"));
    }
    if (config.packing) {
      note(cat(rows.size(), " rows are packed into ", units.size(), " of up to ", config.cutoff_len,
               " tokens; they do not see each other"),
           cat(rows.size(), " 行拼成 ", units.size(), " 组，每组至多 ", config.cutoff_len,
               " 个词元；各行互不可见"));
    }
  }

  // ---- plan

  void plan_updates() {
    const auto count = static_cast<int64_t>(units.size());
    plan.proposals = propose(config, count);
    TuneConfig proposed = config;
    take(plan.proposals, proposed);
    plan.proposed_updates = updates_of(proposed, count);
    plan.proposals_taken = config.plan_auto && !plan.proposals.empty();
    if (plan.proposals_taken) config = proposed;
    plan.rows = static_cast<int64_t>(rows.size());
    plan.held_out = static_cast<int64_t>(held_out.size());
    plan.units = count;
    plan.tokens = tokens_of(rows);
    for (const TrainRow& row : rows) plan.labels += row.label_count();
    plan.updates = updates_of(config, count);
    plan.epochs = static_cast<double>(plan.updates) / static_cast<double>(updates_an_epoch());
  }

  void plan_cost() {
    plan.resumed_at = trainer->step();
    for (const Trainer::Parameter& p : trainer->parameters()) {
      plan.trained_parameters += p.value.elements();
    }
    plan.memory_bytes = tuned->base_bytes() +
                        trainer->memory_bytes(std::max(longest_of(rows), longest_of(held_out)));
    if (keeps_best()) {
      plan.memory_bytes += plan.trained_parameters * static_cast<int64_t>(sizeof(float));
    }
    plan.free_bytes = available_memory();
    for (const TuneNote& said : tuned->notes()) plan.notes.push_back(said);
    plan.tokens_per_second = measured_speed(*trainer, rows);
    const double left = static_cast<double>(plan.updates - plan.resumed_at);
    // Without a way back an evaluation takes about a third of the time.
    const int64_t interval = evaluation_interval(config, plan.updates, updates_an_epoch());
    if (!held_out.empty() && interval > plan.updates) {
      note(cat("eval_steps ", interval, " is more than the ", plan.updates,
               " updates: the rows held out are evaluated at the end alone, and no better state "
               "can be kept"),
           cat("eval_steps ", interval, " 多于全部 ", plan.updates,
               " 次更新：留作检验的数据只在最后评估，无法保留更好的状态"));
    }
    const double evaluations =
        1 + (interval > 0 ? std::floor(left / static_cast<double>(interval)) : 0);
    const double tokens =
        left / static_cast<double>(updates_an_epoch()) * static_cast<double>(plan.tokens) +
        evaluations * static_cast<double>(tokens_of(held_out)) / 3;
    plan.seconds = left > 0 ? tokens / plan.tokens_per_second : 0;
  }

  bool keeps_best() const { return !held_out.empty() && config.load_best_model_at_end; }

  // ---- training

  void resume() {
    const std::string file = path("checkpoint.safetensors");
    if (config.overwrite_output_dir && !config.resume) {
      fs::remove(file);  // or a run that is killed at once would go on from it
    } else if (file_exists(file)) {
      load_tune_checkpoint(file, *trainer, state, identity);
    }
  }

  void save() {
    save_tune_checkpoint(path("checkpoint.safetensors"), *trainer, state, identity);
    if (!config.full) tuned->write(chat_template, config.output_dir);
  }

  RunPosition position(int64_t first, int64_t tokens_before) const {
    const auto step = static_cast<double>(trainer->step());
    return {.step = trainer->step(),
            .total = plan.updates,
            .epoch = step / static_cast<double>(updates_an_epoch()),
            .total_tokens = state.total_tokens,
            .first = first,
            .tokens_before = tokens_before};
  }

  void train(const TuneCallbacks& callbacks, TuneResult& result) {
    const int64_t total = plan.updates, first = trainer->step();
    const int64_t tokens_before = state.total_tokens;
    const auto every = [](int64_t step, int64_t interval) {
      return interval > 0 && step % interval == 0;
    };
    const int64_t log_interval = std::max<int64_t>(1, steps_of(config.logging_steps, total));
    const int64_t eval_interval = evaluation_interval(config, total, updates_an_epoch());
    const int64_t save_interval = config.save_strategy == "no" ? 0
                                  : config.save_strategy == "epoch"
                                      ? updates_an_epoch()
                                      : steps_of(config.save_steps, total);
    TuneLog log(config.output_dir, first);
    double saved_at = 0;  // seconds of the log
    const auto evaluate_where_due = [&] {
      const int64_t step = trainer->step();
      const bool due = step == total || every(step, eval_interval);
      if (held_out.empty() || !due || state.evaluated_at == step) return;
      const double loss = trainer->evaluate(held_out);
      const bool best = state.add_evaluation(step, loss, *trainer, keeps_best());
      log.add_eval_loss(position(first, tokens_before), loss);
      if (callbacks.on_evaluation) callbacks.on_evaluation({step, loss, best});
    };
    const auto stopped = [&] {
      return config.early_stopping_steps > 0 && eval_interval > 0 &&
             state.worse_in_a_row >= config.early_stopping_steps;
    };
    const auto on_step = [&](const StepLog& step) {
      state.last_loss = step.loss;
      state.loss_sum += step.loss;
      ++state.loss_count;
      state.total_tokens += step.tokens;
      if (callbacks.on_step) {
        callbacks.on_step({step.step, step.total, step.loss, step.rate, step.grad_norm,
                           static_cast<double>(step.tokens) / std::max(1e-9, step.seconds)});
      }
      if (step.step == total || every(step.step, log_interval)) {
        log.add_loss(position(first, tokens_before),
                     state.loss_sum / static_cast<double>(state.loss_count), step.rate);
        state.loss_sum = 0;
        state.loss_count = 0;
      }
      evaluate_where_due();
      const bool due = every(step.step, save_interval) ||
                       (save_interval > 0 && log.seconds() - saved_at > kMostUnsavedSeconds);
      if (step.step < total && due) {
        save();
        saved_at = log.seconds();
        if (config.plot_loss) log.plot();
      }
      return !stopped();
    };
    try {
      // A stop may have come between an update and its evaluation.
      if (first > 0) evaluate_where_due();
      if (!stopped()) trainer->run(units, on_step);
    } catch (const Cancelled&) {
      save();
      fail(ErrorCode::kFailed, "stopped after ", trainer->step(),
           " updates; the same command with resume_from_checkpoint=true goes on from there");
    }
    // The checkpoint holds the last state, the result the best one. Also where the checkpoint held
    // the last update already, as after a kill while writing.
    save_tune_checkpoint(path("checkpoint.safetensors"), *trainer, state, identity);
    result.updates = trainer->step();
    result.stopped_early = trainer->step() < total;
    result.loss = state.last_loss;
    result.eval_loss = state.last_eval_loss;
    if (!state.best.empty()) {
      result.eval_loss = state.best_eval_loss;
      if (state.best_step < trainer->step()) result.best_step = state.best_step;
      for (const Trainer::Parameter& parameter : trainer->parameters()) {
        Tensor value = parameter.value;
        const std::vector<float>& best = state.best.at(parameter.name);
        std::copy(best.begin(), best.end(), value.data());
      }
    }
    tuned->write(chat_template, config.output_dir);
    if (config.plot_loss) log.plot();
    result.seconds = log.seconds();
  }
};

Tuner::Tuner(const TuneConfig& config, const OpenOptions& open)
    : impl_(std::make_unique<Impl>(config, open)) {}
Tuner::~Tuner() = default;

TuneResult Tuner::run(const TuneCallbacks& callbacks) { return impl_->run(callbacks); }
void Tuner::cancel() noexcept { impl_->model.cancel(); }

}  // namespace zhiyin
