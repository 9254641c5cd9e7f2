#include <yaml-cpp/yaml.h>

#include <functional>
#include <map>

#include "base/error.h"
#include "base/file.h"
#include "base/nearest.h"
#include "train/schedule.h"
#include "zhiyin/finetune.h"

namespace zhiyin {
namespace {

// A value and where it stands, for messages: "tune.yaml: line 7: learning_rate".
struct Entry {
  std::string where, key;
  YAML::Node node;

  std::string text() const {
    return node.IsScalar() ? cat("\"", node.Scalar(), "\"") : std::string("a list or map");
  }
};

template <typename T>
T value_of(const Entry& entry, const char* expected) {
  try {
    return entry.node.as<T>();
  } catch (const YAML::Exception&) {
    fail(ErrorCode::kUsage, entry.where, ": must be ", expected, ", not ", entry.text());
  }
}

std::vector<std::string> names_of(const Entry& entry) {
  std::vector<std::string> names;
  if (entry.node.IsSequence()) {
    for (const YAML::Node& item : entry.node) {
      names.push_back(value_of<std::string>({entry.where, entry.key, item}, "a list of names"));
    }
    return names;
  }
  const auto text = value_of<std::string>(entry, "names separated by commas");
  for (size_t at = 0; at <= text.size();) {
    const size_t end = std::min(text.find(',', at), text.size());
    std::string name = text.substr(at, end - at);
    name.erase(0, name.find_first_not_of(' '));
    name.erase(name.find_last_not_of(' ') + 1);
    if (!name.empty()) names.push_back(name);
    at = end + 1;
  }
  return names;
}

using Setter = std::function<void(TuneConfig&, const Entry&)>;

template <typename T>
Setter set(T TuneConfig::* field) {
  const char* expected = std::is_same_v<T, std::string> ? "text"
                         : std::is_same_v<T, bool>      ? "true or false"
                         : std::is_floating_point_v<T>  ? "a number"
                                                        : "a whole number";
  return [field, expected](TuneConfig& c, const Entry& entry) {
    c.*field = value_of<T>(entry, expected);
  };
}

Setter set_names(std::vector<std::string> TuneConfig::* field) {
  return [field](TuneConfig& c, const Entry& entry) { c.*field = names_of(entry); };
}

// One of some words; the field keeps it.
Setter one_of(std::string TuneConfig::* field, const std::vector<std::string>& words) {
  return [field, words](TuneConfig& c, const Entry& entry) {
    const auto got = value_of<std::string>(entry, "text");
    check(std::find(words.begin(), words.end(), got) != words.end(), ErrorCode::kUsage, entry.where,
          ": is ", got, "; it can be ", join(words));
    c.*field = got;
  };
}

// Only these values are built; there is nothing to keep.
Setter only(const std::vector<std::string>& wanted) {
  return [wanted](TuneConfig&, const Entry& entry) {
    const auto got = value_of<std::string>(entry, "text");
    check(std::find(wanted.begin(), wanted.end(), got) != wanted.end(), ErrorCode::kUnsupported,
          entry.where, ": ", got, " is not built; it can be ", join(wanted));
  };
}

Setter ignore(const char* why, const char* why_chinese) {
  return [=](TuneConfig& c, const Entry& entry) {
    c.ignored.push_back({cat(entry.key, ": ", why), cat(entry.key, "：", why_chinese)});
  };
}

void set_finetuning_type(TuneConfig& c, const Entry& entry) {
  const auto type = value_of<std::string>(entry, "text");
  check(type == "lora" || type == "full", ErrorCode::kUnsupported, entry.where, ": ", type,
        " is not built; it can be lora or full");
  c.full = type == "full";
}

void set_quantization_bit(TuneConfig& c, const Entry& entry) {
  c.quantization_bit = value_of<int64_t>(entry, "4 or 8");
  check(c.quantization_bit == 4 || c.quantization_bit == 8, ErrorCode::kUnsupported, entry.where,
        ": ", c.quantization_bit, " is not built; it can be 4 (Q4_K_M) or 8 (Q8_0)");
}

void set_lora_target(TuneConfig& c, const Entry& entry) {
  c.lora_targets = names_of(entry);
  if (c.lora_targets == std::vector<std::string>{"all"}) c.lora_targets.clear();
}

void set_plan(TuneConfig& c, const Entry& entry) {
  const auto plan = value_of<std::string>(entry, "text");
  check(plan == "auto" || plan == "show", ErrorCode::kUsage, entry.where, ": is ", plan,
        "; it can be show (print what would serve the data better) or auto (take it)");
  c.plan_auto = plan == "auto";
}

void set_replay(TuneConfig& c, const Entry& entry) {
  bool on = false;
  if (YAML::convert<bool>::decode(entry.node, on)) {
    c.replay_refusals = on ? kReplayShare : 0;
    return;
  }
  const char* expected = "true, false or a share from 0 to 0.5 of what is learned";
  c.replay_refusals = value_of<double>(entry, expected);
  check(c.replay_refusals >= 0 && c.replay_refusals <= 0.5, ErrorCode::kUsage, entry.where,
        ": must be ", expected, ", not ", entry.text());
}

void set_max_steps(TuneConfig& c, const Entry& entry) {
  // -1 is how transformers writes that epochs decide.
  c.max_steps = std::max<int64_t>(0, value_of<int64_t>(entry, "a whole number"));
}

void set_resume(TuneConfig& c, const Entry& entry) {
  const auto text = value_of<std::string>(entry, "true or a path");
  c.resume = text != "false";
  if (c.resume && text != "true") {
    c.ignored.push_back({entry.key + ": the checkpoint in output_dir is taken",
                         entry.key + "：使用 output_dir 中的检查点"});
  }
}

void set_packing(TuneConfig& c, const Entry& entry) {
  c.packing = c.packing || value_of<bool>(entry, "true or false");
}

const std::map<std::string, Setter>& setters() {
  struct Reason {
    const char *english, *chinese;
  };
  constexpr Reason kOneProcess = {"there is one process", "只有一个进程"};
  constexpr Reason kInOneGo = {"rows are read in one go", "数据一次读完"};
  constexpr Reason kPrecision = {
      "products with a quantised base are in bf16 where the CPU has it, adapters in f32",
      "与量化底模的乘积在 CPU 支持时用 bf16，适配器用 f32"};
  constexpr Reason kRecompute = {"blocks are computed again where memory asks for it",
                                 "内存不够时自动重算各层"};
  static const std::map<std::string, Setter> table = {
      {"model_name_or_path", set(&TuneConfig::model)},
      {"template", set(&TuneConfig::chat_template)},
      {"default_system", set(&TuneConfig::system)},
      {"stage", only({"sft"})},
      {"do_train", only({"true"})},
      {"finetuning_type", set_finetuning_type},
      {"quantization_bit", set_quantization_bit},
      {"lora_target", set_lora_target},
      {"lora_rank", set(&TuneConfig::lora_rank)},
      {"lora_alpha", set(&TuneConfig::lora_alpha)},
      {"lora_dropout", set(&TuneConfig::lora_dropout)},
      {"use_rslora", set(&TuneConfig::rslora)},
      {"adapter_name_or_path", set(&TuneConfig::adapter)},
      {"dataset", set_names(&TuneConfig::datasets)},
      {"dataset_dir", set(&TuneConfig::dataset_dir)},
      {"cutoff_len", set(&TuneConfig::cutoff_len)},
      {"max_samples", set(&TuneConfig::max_samples)},
      {"train_on_prompt", set(&TuneConfig::train_on_prompt)},
      {"mask_history", set(&TuneConfig::mask_history)},
      {"packing", set_packing},
      {"neat_packing", set_packing},
      {"output_dir", set(&TuneConfig::output_dir)},
      {"overwrite_output_dir", set(&TuneConfig::overwrite_output_dir)},
      {"logging_steps", set(&TuneConfig::logging_steps)},
      {"save_steps", set(&TuneConfig::save_steps)},
      {"save_strategy", one_of(&TuneConfig::save_strategy, {"no", "steps", "epoch"})},
      {"plot_loss", set(&TuneConfig::plot_loss)},
      {"resume_from_checkpoint", set_resume},
      {"per_device_train_batch_size", set(&TuneConfig::batch_size)},
      {"gradient_accumulation_steps", set(&TuneConfig::accumulation)},
      {"learning_rate", set(&TuneConfig::learning_rate)},
      {"num_train_epochs", set(&TuneConfig::epochs)},
      {"max_steps", set_max_steps},
      {"lr_scheduler_type",
       [](TuneConfig& c, const Entry& entry) {
         c.schedule = value_of<std::string>(entry, "text");
         schedule_kind(c.schedule);
       }},
      {"warmup_ratio", set(&TuneConfig::warmup_ratio)},
      {"warmup_steps", set(&TuneConfig::warmup_steps)},
      {"warmup_from_zero", set(&TuneConfig::warmup_from_zero)},
      {"weight_decay", set(&TuneConfig::weight_decay)},
      {"max_grad_norm", set(&TuneConfig::max_grad_norm)},
      {"seed", set(&TuneConfig::seed)},
      {"optim", only({"adamw_torch", "adamw_torch_fused", "adamw_hf"})},
      {"plan", set_plan},
      {"replay_refusals", set_replay},
      {"val_size", set(&TuneConfig::val_size)},
      {"eval_dataset", set_names(&TuneConfig::eval_datasets)},
      {"eval_strategy", one_of(&TuneConfig::eval_strategy, {"no", "steps", "epoch"})},
      {"eval_steps", set(&TuneConfig::eval_steps)},
      {"early_stopping_steps", set(&TuneConfig::early_stopping_steps)},
      {"load_best_model_at_end", set(&TuneConfig::load_best_model_at_end)},
      {"metric_for_best_model", only({"loss", "eval_loss"})},
      {"do_eval", ignore("rows held out are always evaluated", "留作检验的数据总会被评估")},
      {"do_predict", only({"false"})},
      {"greater_is_better", ignore("a lower loss is better", "损失越低越好")},
      {"per_device_eval_batch_size",
       ignore("it changes no number; memory alone decides", "不影响任何数值，只由内存决定")},
      {"bf16", ignore(kPrecision.english, kPrecision.chinese)},
      {"fp16", ignore(kPrecision.english, kPrecision.chinese)},
      {"pure_bf16", ignore(kPrecision.english, kPrecision.chinese)},
      {"tf32", ignore(kPrecision.english, kPrecision.chinese)},
      {"upcast_layernorm", ignore("norms are always in f32", "归一化总用 f32")},
      {"quantization_method", ignore("quantization_bit says which format: Q4_K_M or Q8_0",
                                     "格式由 quantization_bit 决定：Q4_K_M 或 Q8_0")},
      {"quantization_type", ignore("quantization_bit says which format: Q4_K_M or Q8_0",
                                   "格式由 quantization_bit 决定：Q4_K_M 或 Q8_0")},
      {"double_quantization",
       ignore("the scales of Q4_K are quantised anyway", "Q4_K 的缩放系数本来就是量化的")},
      {"flash_attn", ignore("attention is always fused", "注意力总是融合计算")},
      {"gradient_checkpointing", ignore(kRecompute.english, kRecompute.chinese)},
      {"disable_gradient_checkpointing", ignore(kRecompute.english, kRecompute.chinese)},
      {"overwrite_cache", ignore("nothing is cached", "没有缓存")},
      {"cache_dir", ignore("nothing is downloaded", "不下载任何东西")},
      {"preprocessing_num_workers", ignore(kInOneGo.english, kInOneGo.chinese)},
      {"preprocessing_batch_size", ignore(kInOneGo.english, kInOneGo.chinese)},
      {"dataloader_num_workers", ignore(kInOneGo.english, kInOneGo.chinese)},
      {"dataloader_pin_memory", ignore(kInOneGo.english, kInOneGo.chinese)},
      {"streaming", only({"false"})},
      {"ddp_timeout", ignore(kOneProcess.english, kOneProcess.chinese)},
      {"ddp_find_unused_parameters", ignore(kOneProcess.english, kOneProcess.chinese)},
      {"local_rank", ignore(kOneProcess.english, kOneProcess.chinese)},
      {"deepspeed", ignore(kOneProcess.english, kOneProcess.chinese)},
      {"logging_first_step",
       ignore("logging_steps says which updates are logged", "由 logging_steps 决定记录哪些更新")},
      {"logging_strategy",
       ignore("logging_steps says which updates are logged", "由 logging_steps 决定记录哪些更新")},
      {"logging_dir",
       ignore("trainer_log.jsonl is in output_dir", "trainer_log.jsonl 在 output_dir 中")},
      {"save_total_limit", ignore("one checkpoint is kept, and the best state in it",
                                  "只保留一个检查点，其中含最好的状态")},
      {"save_only_model",
       ignore("the checkpoint is needed to go on after a stop", "停止后继续训练需要检查点")},
      {"include_num_input_tokens_seen",
       ignore("trainer_log.jsonl always counts tokens", "trainer_log.jsonl 总会记录词元数")},
      {"include_tokens_per_second",
       ignore("trainer_log.jsonl always has the throughput", "trainer_log.jsonl 总会记录吞吐量")},
      {"report_to", ignore("nothing is sent anywhere", "不向任何地方发送数据")},
      {"run_name", ignore("nothing is sent anywhere", "不向任何地方发送数据")},
      {"push_to_hub", only({"false"})},
      {"trust_remote_code", ignore("no foreign code is ever run", "从不运行外来代码")},
      {"use_fast_tokenizer", ignore("there is one tokenizer", "只有一种分词器")},
      {"use_unsloth", ignore("it is for GPUs", "只用于 GPU")},
      {"enable_liger_kernel", ignore("it is for GPUs", "只用于 GPU")},
  };
  return table;
}

void apply(TuneConfig& config, const Entry& entry) {
  const auto found = setters().find(entry.key);
  if (found != setters().end()) {
    // "key:" and "key: null" leave the default, as in LLaMA-Factory.
    if (!entry.node.IsNull()) found->second(config, entry);
    return;
  }
  std::vector<std::string> known;
  for (const auto& [name, unused] : setters()) known.push_back(name);
  fail(ErrorCode::kUsage, entry.where, ": the key is not known; the nearest is ",
       nearest(entry.key, known));
}

// Values that no setter could judge alone.
void check_values(const TuneConfig& c, const std::string& path) {
  for (const auto& [name, value] :
       {std::pair{"model_name_or_path", c.model}, std::pair{"output_dir", c.output_dir}}) {
    check(!value.empty(), ErrorCode::kUsage, path, ": ", name, " is missing");
  }
  check(!c.datasets.empty(), ErrorCode::kUsage, path, ": dataset is missing");
  for (const auto& [name, value] :
       {std::pair{"per_device_train_batch_size", c.batch_size},
        std::pair{"gradient_accumulation_steps", c.accumulation},
        std::pair{"cutoff_len", c.cutoff_len}, std::pair{"lora_rank", c.lora_rank}}) {
    check(value > 0, ErrorCode::kUsage, path, ": ", name, " is ", value, "; it must be above 0");
  }
  for (const auto& [name, value] :
       {std::pair{"learning_rate", c.learning_rate}, std::pair{"num_train_epochs", c.epochs}}) {
    check(value > 0, ErrorCode::kUsage, path, ": ", name, " is ", value, "; it must be above 0");
  }
  for (const auto& [name, value] :
       {std::pair{"logging_steps", c.logging_steps}, std::pair{"save_steps", c.save_steps},
        std::pair{"eval_steps", c.eval_steps}, std::pair{"warmup_steps", c.warmup_steps},
        std::pair{"weight_decay", c.weight_decay}, std::pair{"max_grad_norm", c.max_grad_norm},
        std::pair{"val_size", c.val_size}}) {
    check(value >= 0, ErrorCode::kUsage, path, ": ", name, " is ", value, "; it must be 0 or more");
  }
  for (const auto& [name, value] :
       {std::pair{"lora_dropout", c.lora_dropout}, std::pair{"warmup_ratio", c.warmup_ratio}}) {
    check(value >= 0 && value < 1, ErrorCode::kUsage, path, ": ", name, " is ", value,
          "; it must be from 0 to below 1");
  }
  check(!c.train_on_prompt || !c.mask_history, ErrorCode::kUsage, path,
        ": train_on_prompt and mask_history are both true; questions cannot be learned and earlier "
        "turns left out at once");
  check(c.eval_datasets.empty() || c.val_size == 0, ErrorCode::kUsage, path,
        ": eval_dataset and val_size are both given; use one of them");
  check(!c.full || c.quantization_bit == 0, ErrorCode::kUsage, path, ": quantization_bit is ",
        c.quantization_bit,
        " and finetuning_type is full; a packed weight cannot be trained, use "
        "lora or leave quantization_bit out");
  check(!c.full || c.adapter.empty(), ErrorCode::kUsage, path,
        ": adapter_name_or_path is for finetuning_type: lora; merge the adapter first");
}

}  // namespace

TuneConfig read_tune_config(const std::string& path, const std::vector<std::string>& overrides) {
  TuneConfig config;
  config.text = read_file(path);
  YAML::Node root;
  try {
    root = YAML::Load(config.text);
  } catch (const YAML::Exception& e) {
    fail(ErrorCode::kFailed, path, ": line ", e.mark.line + 1, ": ", e.msg);
  }
  check(root.IsMap(), ErrorCode::kFailed, path, ": is not a YAML map of keys and values");
  for (const auto& entry : root) {
    const auto key = entry.first.as<std::string>();
    apply(config,
          {cat(path, ": line ", entry.first.Mark().line + 1, ": ", key), key, entry.second});
  }
  for (const std::string& text : overrides) {
    const size_t at = text.find('=');
    check(at != std::string::npos && at > 0, ErrorCode::kUsage, "\"", text, "\" is not key=value");
    const std::string key = text.substr(0, at), value = text.substr(at + 1);
    try {
      apply(config, {key, key, YAML::Load(value)});
    } catch (const YAML::Exception& e) {
      fail(ErrorCode::kUsage, key, ": \"", value, "\" is not YAML: ", e.msg);
    }
    config.text += "\n" + key + ": " + value;
  }
  check_values(config, path);
  if (config.lora_alpha == 0) config.lora_alpha = 2 * static_cast<double>(config.lora_rank);
  return config;
}

}  // namespace zhiyin
