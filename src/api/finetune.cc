#include "zhiyin/finetune.h"

#include <chrono>
#include <cmath>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "api/model_impl.h"
#include "base/error.h"
#include "base/file.h"
#include "base/progress.h"
#include "export/modelfile.h"
#include "io/checkpoint.h"
#include "io/lora_file.h"
#include "nn/attach_adapter.h"
#include "text/chat_template/chat_rendering.h"
#include "train/lora.h"
#include "train/trainer.h"

namespace zhiyin {
namespace {

using Json = nlohmann::ordered_json;
namespace fs = std::filesystem;

// Fewer updates than this leave a model nearly as it was.
constexpr int64_t kFewUpdates = 100;

Json parse_line(const std::string& line, const std::string& where) {
  Json json = Json::parse(line, nullptr, false);
  check(!json.is_discarded() && json.is_object(), ErrorCode::kFailed, where,
        ": is not a JSON object");
  return json;
}

// The file of a data set, as dataset_info.json names it.
std::string dataset_path(const TuneConfig& config, const std::string& name) {
  const std::string info_path = config.dataset_dir + "/dataset_info.json";
  const Json info = Json::parse(read_file(info_path), nullptr, false);
  check(info.is_object(), ErrorCode::kFailed, info_path, ": is not a JSON object");
  std::vector<std::string> known;
  for (const auto& [key, value] : info.items()) known.push_back(key);
  check(info.contains(name) && info[name].contains("file_name"), ErrorCode::kNotFound, info_path,
        ": has no data set ", name, "; there are ", join(known));
  return config.dataset_dir + "/" + info[name]["file_name"].get<std::string>();
}

// Rendering and masking of rows; counts what it leaves out.
class RowMaker {
 public:
  RowMaker(const TuneConfig& config, const Tokenizer& tokenizer, const ChatTemplate& chat_template)
      : config_(config), tokenizer_(tokenizer), template_(chat_template) {}

  void add_file(const std::string& path) {
    const std::string text = read_file(path);
    int64_t line_number = 0;
    for (size_t at = 0; at < text.size();) {
      const size_t end = std::min(text.find('\n', at), text.size());
      const std::string line = text.substr(at, end - at);
      at = end + 1;
      ++line_number;
      if (line.find_first_not_of(" \r\t") == std::string::npos) continue;
      if (config_.max_samples > 0 && line_number > config_.max_samples) break;
      const std::string where = cat(path, ": line ", line_number);
      Json json = parse_line(line, where);
      check(json.contains("messages"), ErrorCode::kFailed, where, ": has no \"messages\"");
      add(json, json.value("weight", 1.0f));
    }
  }

  std::vector<TrainRow> rows;
  int64_t too_long = 0, without_labels = 0;

 private:
  void add(Json& json, float weight) {
    Json& messages = json["messages"];
    const bool has_system = !messages.empty() && messages[0].value("role", "") == "system";
    if (!config_.system.empty() && !has_system) {
      messages.insert(messages.begin(), Json{{"role", "system"}, {"content", config_.system}});
    }
    Json conversation;
    conversation["messages"] = messages;
    const RenderedText rendered =
        render_answers(template_, parse_conversation(conversation), TemplateVariables::object());
    TrainRow row = tokenized(rendered);
    row.weight = weight;
    if (row.label_count() == 0) {
      ++without_labels;
    } else if (static_cast<int64_t>(row.ids.size()) > config_.cutoff_len) {
      ++too_long;
    } else {
      rows.push_back(std::move(row));
    }
  }

  // Answers and what lies between them become tokens apart, so that the border is one of tokens.
  TrainRow tokenized(const RenderedText& rendered) const {
    TrainRow row;
    const auto append = [&](size_t begin, size_t end, bool learned) {
      if (begin >= end) return;
      for (const int32_t id :
           tokenizer_.encode(std::string_view(rendered.text).substr(begin, end - begin),
                             {.add_special = false, .parse_special = true})) {
        row.ids.push_back(id);
        row.labels.push_back(learned ? id : kIgnoreLabel);
      }
    };
    size_t at = 0;
    for (const TextSpan& answer : rendered.generated) {
      append(at, answer.begin, false);
      append(answer.begin, answer.end, true);
      at = answer.end;
    }
    append(at, rendered.text.size(), false);
    return row;
  }

  const TuneConfig& config_;
  const Tokenizer& tokenizer_;
  const ChatTemplate& template_;
};

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

}  // namespace

struct Tuner::Impl {
  TuneConfig config;
  Model model;

  Impl(const TuneConfig& c, const OpenOptions& open)
      : config(c), model(Model::open(c.model, open)) {}

  std::string path(const char* name) const { return config.output_dir + "/" + name; }

  TuneResult run(const TuneCallbacks& callbacks) {
    Model::Impl& impl = model.impl();
    const std::string chat_template = template_text(config, impl);
    const ChatTemplate renderer(chat_template, "template");
    RowMaker maker(config, impl.need_tokenizer(), renderer);
    for (const std::string& name : config.datasets) maker.add_file(dataset_path(config, name));
    check(!maker.rows.empty(), ErrorCode::kFailed, "no row is left to learn from: ", maker.too_long,
          " are longer than cutoff_len ", config.cutoff_len, ", ", maker.without_labels,
          " hold no answer");

    CausalLm& lm = impl.need_causal_lm();
    const std::vector<Linear*> layers = lm.linears();
    LoraAdapter adapter = new_adapter(layers, {.rank = config.lora_rank,
                                               .alpha = config.lora_alpha,
                                               .rslora = config.rslora,
                                               .dropout = config.lora_dropout,
                                               .targets = config.lora_targets,
                                               .seed = config.seed});
    adapter.base_model = config.model;
    adapter.rope_pairs = impl.files.config->rope.adjacent;
    attach_adapter(*impl.context, adapter, layers, "the new adapter");
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
    options.activation_bytes = available_memory() / 4;  // the machine stays usable
    Trainer trainer(lm, *impl.context, options);

    fs::create_directories(config.output_dir);
    resume(trainer);
    TunePlan plan = make_plan(maker, trainer);
    if (callbacks.on_plan) callbacks.on_plan(plan);
    write_file(path("chat_template.jinja"), chat_template);
    write_file(path("train_config.yaml"), config.text);
    return train(trainer, maker.rows, layers, adapter, callbacks);
  }

  void resume(Trainer& trainer) {
    const std::string file = path("checkpoint.safetensors");
    if (config.overwrite_output_dir || !file_exists(file)) return;
    const Checkpoint saved = load_checkpoint(file);
    for (const Trainer::NamedArray& array : trainer.arrays()) {
      const auto found = saved.arrays.find(array.name);
      check(found != saved.arrays.end() && found->second.size() == array.values.size(),
            ErrorCode::kFailed, file, ": does not fit this configuration (", array.name,
            "); set overwrite_output_dir: true to begin anew");
      std::copy(found->second.begin(), found->second.end(), array.values.begin());
    }
    trainer.set_step(Json::parse(saved.state).at("step").get<int64_t>());
  }

  void save(Trainer& trainer, const std::vector<Linear*>& layers, const LoraAdapter& like) {
    std::vector<NamedFloats> arrays;
    for (const Trainer::NamedArray& array : trainer.arrays()) {
      arrays.push_back({array.name, array.values});
    }
    save_checkpoint(path("checkpoint.safetensors"), Json{{"step", trainer.step()}}.dump(), arrays);
    write_peft_adapter(config.output_dir, adapter_of(layers, like),
                       model.impl().files.config->head_dim);
  }

  TunePlan make_plan(const RowMaker& maker, const Trainer& trainer) const {
    TunePlan plan;
    plan.rows = static_cast<int64_t>(maker.rows.size());
    for (const TrainRow& row : maker.rows) {
      plan.tokens += static_cast<int64_t>(row.ids.size());
      plan.labels += row.label_count();
    }
    plan.updates = trainer.total_steps(plan.rows);
    plan.resumed_at = trainer.step();
    for (const std::string& key : config.ignored) plan.notes.push_back("ignored " + key);
    if (maker.too_long > 0) {
      plan.notes.push_back(cat(maker.too_long, " rows are longer than cutoff_len ",
                               config.cutoff_len, " and left out; no answer is cut"));
    }
    if (maker.without_labels > 0) {
      plan.notes.push_back(cat(maker.without_labels, " rows hold no answer and are left out"));
    }
    if (plan.updates < kFewUpdates && config.max_steps == 0) {
      const double epochs = std::ceil(config.epochs * static_cast<double>(kFewUpdates) /
                                      static_cast<double>(std::max<int64_t>(1, plan.updates)));
      plan.notes.push_back(cat(plan.updates, " updates are few for the model to change; try ",
                               "gradient_accumulation_steps: 4 or num_train_epochs: ", epochs));
    }
    return plan;
  }

  TuneResult train(Trainer& trainer, const std::vector<TrainRow>& rows,
                   const std::vector<Linear*>& layers, const LoraAdapter& like,
                   const TuneCallbacks& callbacks) {
    TuneResult result;
    result.output_dir = config.output_dir;
    const auto start = std::chrono::steady_clock::now();
    const auto elapsed = [&] {
      return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    };
    const int64_t first = trainer.step();
    std::string log = first > 0 && file_exists(path("trainer_log.jsonl"))
                          ? read_file(path("trainer_log.jsonl"))
                          : std::string();
    try {
      trainer.run(rows, [&](const StepLog& step) {
        result.updates = step.step;
        result.loss = step.loss;
        if (callbacks.on_step) {
          callbacks.on_step({step.step, step.total, step.loss, step.rate, step.grad_norm,
                             static_cast<double>(step.tokens) / std::max(1e-9, step.seconds)});
        }
        if (step.step % std::max<int64_t>(1, config.logging_steps) == 0 ||
            step.step == step.total) {
          const double share = static_cast<double>(step.step) / static_cast<double>(step.total);
          const double left = elapsed() / static_cast<double>(step.step - first) *
                              static_cast<double>(step.total - step.step);
          log += Json{{"current_steps", step.step},
                      {"total_steps", step.total},
                      {"loss", step.loss},
                      {"lr", step.rate},
                      {"epoch", std::round(share * config.epochs * 100) / 100},
                      {"percentage", std::round(share * 10000) / 100},
                      {"elapsed_time", duration_text(elapsed())},
                      {"remaining_time", duration_text(left)}}
                     .dump() +
                 "\n";
          write_file(path("trainer_log.jsonl"), log);
        }
        const bool last = step.step == step.total;
        if (last || (config.save_steps > 0 && step.step % config.save_steps == 0)) {
          save(trainer, layers, like);
        }
        return true;
      });
    } catch (const Cancelled&) {
      save(trainer, layers, like);
      fail(ErrorCode::kFailed, "stopped after ", trainer.step(),
           " updates; the same command without overwrite_output_dir goes on from there");
    }
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
