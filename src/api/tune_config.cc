#include <yaml-cpp/yaml.h>

#include <functional>
#include <map>

#include "base/error.h"
#include "base/file.h"
#include "base/nearest.h"
#include "zhiyin/finetune.h"

namespace zhiyin {
namespace {

template <typename T>
T value_of(const YAML::Node& node, const std::string& key, const char* expected) {
  try {
    return node.as<T>();
  } catch (const YAML::Exception&) {
    fail(ErrorCode::kUsage, key, ": must be ", expected, ", not \"",
         node.IsScalar() ? node.Scalar() : std::string("a list or map"), "\"");
  }
}

std::vector<std::string> names_of(const YAML::Node& node, const std::string& key) {
  std::vector<std::string> names;
  if (node.IsSequence()) {
    for (const YAML::Node& item : node) names.push_back(value_of<std::string>(item, key, "a name"));
    return names;
  }
  const std::string text = value_of<std::string>(node, key, "names separated by commas");
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

using Setter = std::function<void(TuneConfig&, const std::string& key, const YAML::Node&)>;

template <typename T>
Setter set(T TuneConfig::* field) {
  const char* expected = std::is_same_v<T, std::string> ? "text"
                         : std::is_same_v<T, bool>      ? "true or false"
                         : std::is_floating_point_v<T>  ? "a number"
                                                        : "a whole number";
  return [field, expected](TuneConfig& c, const std::string& key, const YAML::Node& node) {
    c.*field = value_of<T>(node, key, expected);
  };
}

// Only this value is built.
Setter only(const std::string& wanted) {
  return [wanted](TuneConfig&, const std::string& key, const YAML::Node& node) {
    const std::string got = value_of<std::string>(node, key, "text");
    check(got == wanted, ErrorCode::kUnsupported, key, ": ", got, " is not built yet; use ",
          wanted);
  };
}

Setter ignore(const std::string& why) {
  return [why](TuneConfig& c, const std::string& key, const YAML::Node&) {
    c.ignored.push_back(key + ": " + why);
  };
}

const std::map<std::string, Setter>& setters() {
  static const std::map<std::string, Setter> table = {
      {"model_name_or_path", set(&TuneConfig::model)},
      {"template", set(&TuneConfig::chat_template)},
      {"default_system", set(&TuneConfig::system)},
      {"stage", only("sft")},
      {"do_train", only("true")},
      {"finetuning_type", only("lora")},
      {"lora_target",
       [](TuneConfig& c, const std::string& key, const YAML::Node& node) {
         c.lora_targets = names_of(node, key);
         if (c.lora_targets == std::vector<std::string>{"all"}) c.lora_targets.clear();
       }},
      {"lora_rank", set(&TuneConfig::lora_rank)},
      {"lora_alpha", set(&TuneConfig::lora_alpha)},
      {"lora_dropout", set(&TuneConfig::lora_dropout)},
      {"use_rslora", set(&TuneConfig::rslora)},
      {"dataset", [](TuneConfig& c, const std::string& key,
                     const YAML::Node& node) { c.datasets = names_of(node, key); }},
      {"dataset_dir", set(&TuneConfig::dataset_dir)},
      {"cutoff_len", set(&TuneConfig::cutoff_len)},
      {"max_samples", set(&TuneConfig::max_samples)},
      {"output_dir", set(&TuneConfig::output_dir)},
      {"overwrite_output_dir", set(&TuneConfig::overwrite_output_dir)},
      {"logging_steps", set(&TuneConfig::logging_steps)},
      {"save_steps", set(&TuneConfig::save_steps)},
      {"per_device_train_batch_size", set(&TuneConfig::batch_size)},
      {"gradient_accumulation_steps", set(&TuneConfig::accumulation)},
      {"learning_rate", set(&TuneConfig::learning_rate)},
      {"num_train_epochs", set(&TuneConfig::epochs)},
      {"max_steps", set(&TuneConfig::max_steps)},
      {"lr_scheduler_type", set(&TuneConfig::schedule)},
      {"warmup_ratio", set(&TuneConfig::warmup_ratio)},
      {"warmup_steps", set(&TuneConfig::warmup_steps)},
      {"weight_decay", set(&TuneConfig::weight_decay)},
      {"max_grad_norm", set(&TuneConfig::max_grad_norm)},
      {"seed", set(&TuneConfig::seed)},
      {"train_on_prompt", set(&TuneConfig::train_on_prompt)},
      {"mask_history", set(&TuneConfig::mask_history)},
      {"adapter_name_or_path", set(&TuneConfig::adapter)},
      {"val_size", set(&TuneConfig::val_size)},
      {"eval_steps", set(&TuneConfig::eval_steps)},
      {"resume_from_checkpoint",
       [](TuneConfig& c, const std::string& key, const YAML::Node& node) {
         if (node.IsNull()) return;
         const std::string text = value_of<std::string>(node, key, "true or a path");
         c.resume = text != "false";
         if (c.resume && text != "true") {
           c.ignored.push_back(key + ": the checkpoint in output_dir is taken");
         }
       }},
      {"eval_strategy", ignore("eval_steps says when; without it, at the end")},
      {"per_device_eval_batch_size", ignore("memory alone decides")},
      {"quantization_bit", ignore("a quantised base is trained on as it is")},
      {"bf16", ignore("products with a quantised base are in bf16, adapters in f32")},
      {"fp16", ignore("products with a quantised base are in bf16, adapters in f32")},
      {"overwrite_cache", ignore("nothing is cached")},
      {"preprocessing_num_workers", ignore("rows are read in one go")},
      {"dataloader_num_workers", ignore("rows are read in one go")},
      {"ddp_timeout", ignore("there is one process")},
      {"plot_loss", ignore("the plot is not built yet; trainer_log.jsonl has the losses")},
      {"report_to", ignore("nothing is sent anywhere")},
      {"trust_remote_code", ignore("no foreign code is ever run")},
      {"packing", ignore("rows always share a batch without seeing each other")},
      {"neat_packing", ignore("rows always share a batch without seeing each other")},
  };
  return table;
}

void apply(TuneConfig& config, const std::string& key, const YAML::Node& node) {
  const auto found = setters().find(key);
  if (found != setters().end()) {
    found->second(config, key, node);
    return;
  }
  std::vector<std::string> known;
  for (const auto& [name, unused] : setters()) known.push_back(name);
  fail(ErrorCode::kUsage, "the key ", key, " is not known; the nearest is ", nearest(key, known));
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
  for (const auto& entry : root) apply(config, entry.first.as<std::string>(), entry.second);
  for (const std::string& text : overrides) {
    const size_t at = text.find('=');
    check(at != std::string::npos, ErrorCode::kUsage, "\"", text, "\" is not key=value");
    apply(config, text.substr(0, at), YAML::Load(text.substr(at + 1)));
    config.text += "\n" + text.substr(0, at) + ": " + text.substr(at + 1);
  }
  for (const auto& [name, value] : {std::pair{"model_name_or_path", config.model},
                                    std::pair{"output_dir", config.output_dir}}) {
    check(!value.empty(), ErrorCode::kUsage, path, ": ", name, " is missing");
  }
  check(!config.datasets.empty(), ErrorCode::kUsage, path, ": dataset is missing");
  for (const auto& [name, value] : {std::pair{"per_device_train_batch_size", config.batch_size},
                                    std::pair{"gradient_accumulation_steps", config.accumulation},
                                    std::pair{"cutoff_len", config.cutoff_len},
                                    std::pair{"logging_steps", config.logging_steps}}) {
    check(value > 0, ErrorCode::kUsage, path, ": ", name, " is ", value, "; it must be above 0");
  }
  check(config.lora_dropout >= 0 && config.lora_dropout < 1, ErrorCode::kUsage, path,
        ": lora_dropout is ", config.lora_dropout, "; it must be from 0 to below 1");
  if (config.lora_alpha == 0) config.lora_alpha = 2 * static_cast<double>(config.lora_rank);
  return config;
}

}  // namespace zhiyin
