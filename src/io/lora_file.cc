#include "io/lora_file.h"

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <set>

#include "base/utf8.h"
#include "io/gguf.h"
#include "io/json_fields.h"
#include "io/safetensors.h"
#include "io/tensor_names.h"

namespace zhiyin {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kPeftPrefix = "base_model.model.";
constexpr const char* kPeftConfig = "adapter_config.json";
constexpr const char* kPeftWeights = "adapter_model.safetensors";
constexpr const char* kFolderTemplate = "chat_template.jinja";
constexpr const char* kGgufTemplate = "tokenizer.chat_template";

std::string in_folder(const std::string& folder, const char* name) {
  return (fs::path(folder) / name).string();
}

// Takes one factor into its module; `is_a` tells lora_A [rank, in] from lora_B [out, rank].
void add_factor(LoraAdapter& adapter, const std::string& module, bool is_a,
                const TensorEntry& tensor) {
  check(tensor.shape.size() == 2, ErrorCode::kFailed, tensor.file.path(), ": tensor ", tensor.name,
        " has ", tensor.shape.size(), " dimensions, a LoRA factor of a linear layer has 2");
  LoraFactors& factors = adapter.modules[module];
  (is_a ? factors.a : factors.b) = to_floats(tensor);
  (is_a ? factors.in : factors.out) = tensor.shape[is_a ? 1 : 0];
  const int64_t rank = tensor.shape[is_a ? 0 : 1];
  check(rank > 0 && (factors.rank == 0 || factors.rank == rank), ErrorCode::kFailed,
        tensor.file.path(), ": tensor ", tensor.name, " has rank ", rank,
        ", the other factor of the module has ", factors.rank);
  factors.rank = rank;
}

void check_complete(const LoraAdapter& adapter, const std::string& path) {
  check(!adapter.modules.empty(), ErrorCode::kFailed, path, ": holds no LoRA factors");
  for (const auto& [module, factors] : adapter.modules) {
    check(!factors.a.empty() && !factors.b.empty(), ErrorCode::kFailed, path, ": module ", module,
          " has only one of its two factors");
  }
}

// ---------------------------------------------------------------------------------------- PEFT

// "base_model.model.PATH.lora_A.weight" -> PATH and whether it is A; "" for any other name.
std::pair<std::string, bool> peft_module(std::string_view name) {
  if (!name.starts_with(kPeftPrefix)) return {};
  name.remove_prefix(kPeftPrefix.size());
  for (const auto& [suffix, is_a] :
       {std::pair<std::string_view, bool>{".lora_A.weight", true},
        {".lora_B.weight", false},
        {".lora_A.default.weight", true},  // a state saved without PEFT's renaming
        {".lora_B.default.weight", false}}) {
    if (name.ends_with(suffix))
      return {std::string(name.substr(0, name.size() - suffix.size())), is_a};
  }
  return {};
}

// What PEFT can switch on that changes the meaning of the factors.
void refuse_beyond_lora(const JsonFields& config) {
  const std::string type = config.find_string("peft_type").value_or("LORA");
  check(type == "LORA", ErrorCode::kUnsupported, config.name(), ": peft_type is ", printable(type),
        ", zhiyin reads LORA");
  for (const char* flag : {"use_dora", "fan_in_fan_out", "lora_bias", "use_qalora"}) {
    check(!config.find_bool(flag).value_or(false), ErrorCode::kUnsupported, config.name(), ": ",
          flag, " is true, zhiyin reads plain LoRA");
  }
  const std::string bias = config.find_string("bias").value_or("none");
  check(bias == "none", ErrorCode::kUnsupported, config.name(), ": bias is ", printable(bias),
        ", zhiyin reads adapters without trained biases");
  const auto patterns = config.find_object("alpha_pattern");
  check(!patterns || patterns->value().empty(), ErrorCode::kUnsupported, config.name(),
        ": has an alpha_pattern, zhiyin reads one alpha for all modules");
}

LoraAdapter read_peft_adapter(const std::string& folder) {
  const std::string config_path = in_folder(folder, kPeftConfig);
  const nlohmann::json json = read_json_file(config_path);
  const JsonFields config(json, config_path);
  refuse_beyond_lora(config);
  LoraAdapter adapter;
  const auto rank = config.find_int("r");
  check(rank && *rank > 0, ErrorCode::kFailed, config_path, ": has no rank r above 0");
  adapter.rank = *rank;
  adapter.alpha = config.find_double("lora_alpha").value_or(8);  // PEFT's default
  adapter.rslora = config.find_bool("use_rslora").value_or(false);
  adapter.dropout = config.find_double("lora_dropout").value_or(0);
  adapter.base_model = config.find_string("base_model_name_or_path").value_or("");

  const std::string weights_path = in_folder(folder, kPeftWeights);
  check(file_exists(weights_path) || !file_exists(in_folder(folder, "adapter_model.bin")),
        ErrorCode::kUnsupported, folder,
        ": holds adapter_model.bin, a PyTorch pickle; save the adapter as safetensors");
  for (const TensorEntry& tensor : open_safetensors(weights_path).tensors) {
    const auto [module, is_a] = peft_module(tensor.name);
    check(!module.empty(), ErrorCode::kUnsupported, weights_path, ": tensor ", tensor.name,
          " is no LoRA factor of a linear layer");
    add_factor(adapter, module, is_a, tensor);
  }
  check_complete(adapter, weights_path);
  return adapter;
}

// ---------------------------------------------------------------------------------------- GGUF

LoraAdapter read_gguf_adapter(const std::string& path) {
  const GgufFile file(path);
  const GgufMetadata& metadata = file.metadata();
  check(metadata.find_string("general.type") == "adapter", ErrorCode::kUsage, path,
        ": is a model, not a LoRA adapter");
  const auto type = metadata.find_string("adapter.type").value_or("");
  check(type == "lora", ErrorCode::kUnsupported, path, ": key adapter.type is \"", printable(type),
        "\", zhiyin reads lora");
  const auto alpha = metadata.find_f64("adapter.lora.alpha");
  check(alpha.has_value(), ErrorCode::kFailed, path, ": has no key adapter.lora.alpha");
  const std::string architecture = file.architecture();
  check(has_tensor_names(architecture), ErrorCode::kUnsupported, path,
        ": is an adapter for the architecture \"", printable(architecture),
        "\", which zhiyin does not know");

  LoraAdapter adapter;
  adapter.alpha = *alpha;
  adapter.base_model = metadata.find_string("general.base_model.0.name").value_or("");
  for (const TensorEntry& tensor : file.tensors()) {
    const bool is_a = tensor.name.ends_with(".weight.lora_a");
    check(is_a || tensor.name.ends_with(".weight.lora_b"), ErrorCode::kUnsupported, path,
          ": tensor ", tensor.name, " is no LoRA factor of a linear layer");
    const std::string base =
        tensor.name.substr(0, tensor.name.size() - sizeof ".weight.lora_a" + 1);
    const std::string module = hf_tensor_name(architecture, base);
    adapter.rope_pairs |= gguf_layout(architecture, module + ".weight") == GgufLayout::kRopePairs;
    add_factor(adapter, module, is_a, tensor);
  }
  check_complete(adapter, path);
  adapter.rank = adapter.modules.begin()->second.rank;
  return adapter;
}

bool is_rotated(const std::string& module) {
  return module.ends_with(".q_proj") || module.ends_with(".k_proj");
}

}  // namespace

bool is_lora_adapter(const std::string& path) {
  std::error_code error;
  if (fs::is_directory(path, error)) return file_exists(in_folder(path, kPeftConfig));
  if (!file_exists(path)) return false;
  const MmapFile file(path);
  if (!is_gguf({file.data(), file.size()})) return false;
  const GgufFile gguf(path);
  return gguf.metadata().find_string("general.type") == "adapter";
}

std::string adapter_chat_template(const std::string& path) {
  std::error_code error;
  if (!fs::is_directory(path, error)) {
    const GgufFile file(path);
    return std::string(file.metadata().find_string(kGgufTemplate).value_or(""));
  }
  const std::string file = in_folder(path, kFolderTemplate);
  return file_exists(file) ? read_file(file) : "";
}

LoraAdapter read_lora_adapter(const std::string& path) {
  std::error_code error;
  LoraAdapter adapter =
      fs::is_directory(path, error) ? read_peft_adapter(path) : read_gguf_adapter(path);
  adapter.chat_template = adapter_chat_template(path);
  return adapter;
}

void set_rope_pairs(LoraAdapter& adapter, bool pairs, int64_t head_dim) {
  if (adapter.rope_pairs == pairs) return;
  for (auto& [module, factors] : adapter.modules) {
    if (!is_rotated(module)) continue;
    factors.b = pairs ? to_rope_pairs(factors.b, factors.rank, head_dim)
                      : from_rope_pairs(factors.b, factors.rank, head_dim);
  }
  adapter.rope_pairs = pairs;
}

void write_peft_adapter(const std::string& folder, LoraAdapter adapter, int64_t head_dim) {
  set_rope_pairs(adapter, false, head_dim);
  std::error_code error;
  fs::create_directories(folder, error);
  check(!error, ErrorCode::kFailed, folder, ": cannot be created: ", error.message());

  SafetensorsWriter writer(in_folder(folder, kPeftWeights));
  writer.set_metadata("format", "pt");
  std::set<std::string> leaves;
  nlohmann::ordered_json ranks = nlohmann::ordered_json::object();
  for (const auto& [module, factors] : adapter.modules) {
    leaves.insert(module.substr(module.rfind('.') + 1));
    if (factors.rank != adapter.rank) ranks[module] = factors.rank;
    const std::string name = cat(kPeftPrefix, module);
    writer.add_tensor(name + ".lora_A.weight", Format::kF32, {factors.rank, factors.in});
    writer.add_tensor(name + ".lora_B.weight", Format::kF32, {factors.out, factors.rank});
  }
  writer.start();
  for (const auto& [module, factors] : adapter.modules) {
    const std::string name = cat(kPeftPrefix, module);
    writer.write(name + ".lora_A.weight", factors.a.data(), factors.a.size() * sizeof(float));
    writer.write(name + ".lora_B.weight", factors.b.data(), factors.b.size() * sizeof(float));
  }
  writer.finish();

  nlohmann::ordered_json config = {
      {"base_model_name_or_path", adapter.base_model},
      {"bias", "none"},
      {"fan_in_fan_out", false},
      {"inference_mode", true},
      {"init_lora_weights", true},
      {"lora_alpha", adapter.alpha},
      {"lora_dropout", adapter.dropout},
      {"modules_to_save", nullptr},
      {"peft_type", "LORA"},
      {"r", adapter.rank},
      {"rank_pattern", ranks},
      {"target_modules", leaves},
      {"task_type", "CAUSAL_LM"},
      {"use_dora", false},
      {"use_rslora", adapter.rslora},
  };
  // PEFT types lora_alpha as an integer; a whole number is written as one.
  if (adapter.alpha == std::floor(adapter.alpha)) {
    config["lora_alpha"] = static_cast<int64_t>(adapter.alpha);
  }
  write_file(in_folder(folder, kPeftConfig), config.dump(2) + "\n");
  if (!adapter.chat_template.empty()) {
    write_file(in_folder(folder, kFolderTemplate), adapter.chat_template);
  }
}

void write_gguf_adapter(const std::string& path, LoraAdapter adapter,
                        const std::string& architecture, int64_t head_dim) {
  check(has_tensor_names(architecture), ErrorCode::kUnsupported, path,
        ": no GGUF tensor names are known for the architecture ", architecture);
  const bool pairs = std::ranges::any_of(adapter.modules, [&](const auto& module) {
    return gguf_layout(architecture, module.first + ".weight") == GgufLayout::kRopePairs;
  });
  set_rope_pairs(adapter, pairs, head_dim);

  GgufWriter writer(path);
  writer.set("general.architecture", architecture);
  writer.set("general.type", "adapter");
  writer.set("adapter.type", "lora");
  // llama.cpp divides by the rank of the module; rsLoRA divides by its square root.
  const double factor = adapter.rslora ? std::sqrt(static_cast<double>(adapter.rank)) : 1.0;
  writer.set("adapter.lora.alpha", static_cast<float>(adapter.alpha * factor));
  if (!adapter.chat_template.empty()) writer.set(kGgufTemplate, adapter.chat_template);
  if (!adapter.base_model.empty()) {
    writer.set("general.base_model.count", uint32_t{1});
    writer.set("general.base_model.0.name", adapter.base_model);
  }
  std::vector<std::pair<std::string, const LoraFactors*>> named;
  for (const auto& [module, factors] : adapter.modules) {
    const auto name = gguf_tensor_name(architecture, module + ".weight");
    check(name.has_value(), ErrorCode::kUnsupported, path, ": module ", module,
          " has no GGUF name in the architecture ", architecture);
    check(!adapter.rslora || factors.rank == adapter.rank, ErrorCode::kUnsupported, path,
          ": module ", module, " has rank ", factors.rank, ", others have ", adapter.rank,
          "; a GGUF adapter cannot hold that with rsLoRA");
    named.emplace_back(*name, &factors);
  }
  for (const auto& [name, factors] : named) {
    writer.add_tensor(name + ".lora_a", Format::kF32, {factors->rank, factors->in});
    writer.add_tensor(name + ".lora_b", Format::kF32, {factors->out, factors->rank});
  }
  writer.start();
  for (const auto& [name, factors] : named) {
    writer.write(name + ".lora_a", factors->a.data(), factors->a.size() * sizeof(float));
    writer.write(name + ".lora_b", factors->b.data(), factors->b.size() * sizeof(float));
  }
  writer.finish();
}

}  // namespace zhiyin
