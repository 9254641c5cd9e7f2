#include "io/hf_config.h"

#include <algorithm>
#include <initializer_list>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/utf8.h"
#include "io/json_fields.h"
#include "io/model_type_defaults.h"

namespace zhiyin {
namespace {

using Scaling = RopeConfig::Scaling;

// The first of several spellings of a field; gpt2 and bert have their own.
std::optional<int64_t> find_int(const JsonFields& fields,
                                std::initializer_list<std::string_view> names) {
  for (const std::string_view name : names) {
    if (const auto value = fields.find_int(name)) return value;
  }
  return std::nullopt;
}

int64_t required_int(const JsonFields& fields, std::initializer_list<std::string_view> names) {
  const auto value = find_int(fields, names);
  check(value.has_value(), ErrorCode::kFailed, fields.name(), ": has no ", *names.begin());
  return *value;
}

Scaling scaling_of(const std::string& type, const JsonFields& fields) {
  if (type == "default" || type == "mrope") return Scaling::kNone;  // mrope: positions, not angles
  if (type == "linear") return Scaling::kLinear;
  if (type == "dynamic") return Scaling::kDynamic;
  if (type == "llama3") return Scaling::kLlama3;
  if (type == "yarn") return Scaling::kYarn;
  if (type == "longrope" || type == "su") return Scaling::kLongRope;
  fail(ErrorCode::kUnsupported, fields.name(), ": rope type ", printable(type),
       " is unknown; known are default, linear, dynamic, llama3, yarn, longrope");
}

// `config` is the whole file, `rope` its rope_parameters or rope_scaling, if any.
RopeConfig read_rope(const JsonFields& config, const std::optional<JsonFields>& rope,
                     const ModelTypeDefaults& defaults, int64_t head_dim) {
  RopeConfig result;
  // A field of the rope object, or of the file itself.
  const auto number = [&](std::string_view name) {
    const auto inner = rope ? rope->find_double(name) : std::nullopt;
    return inner ? inner : config.find_double(name);
  };
  result.theta = number("rope_theta").value_or(defaults.rope_theta);
  const double share = number("partial_rotary_factor").value_or(defaults.rotary_share);
  check(share > 0 && share <= 1, ErrorCode::kFailed, config.name(), ": partial_rotary_factor is ",
        share, ", expected a share of 1");
  if (share != 1) result.dimensions = static_cast<int64_t>(static_cast<double>(head_dim) * share);
  if (!rope) return result;

  auto type = rope->find_string("rope_type");
  if (!type) type = rope->find_string("type");
  result.scaling = scaling_of(type.value_or("default"), *rope);
  if (result.scaling == Scaling::kNone) return result;

  result.original_max_positions =
      find_int(*rope, {"original_max_position_embeddings"})
          .value_or(config.find_int("original_max_position_embeddings").value_or(0));
  if (const auto factor = rope->find_double("factor")) {
    result.factor = *factor;
  } else {
    check(result.scaling == Scaling::kLongRope, ErrorCode::kFailed, rope->name(),
          ": has no factor, which rope type ", printable(*type), " needs");
  }
  if (result.scaling == Scaling::kLlama3) {
    for (const std::string_view field : {"low_freq_factor", "high_freq_factor"}) {
      check(rope->find_double(field).has_value(), ErrorCode::kFailed, rope->name(), ": has no ",
            field, ", which rope type llama3 needs");
    }
    check(result.original_max_positions > 0, ErrorCode::kFailed, rope->name(),
          ": has no original_max_position_embeddings, which rope type llama3 needs");
  }
  result.low_freq_factor = rope->find_double("low_freq_factor").value_or(result.low_freq_factor);
  result.high_freq_factor = rope->find_double("high_freq_factor").value_or(result.high_freq_factor);
  result.beta_fast = rope->find_double("beta_fast").value_or(result.beta_fast);
  result.beta_slow = rope->find_double("beta_slow").value_or(result.beta_slow);
  result.attention_factor = rope->find_double("attention_factor");
  result.mscale = rope->find_double("mscale");
  result.mscale_all_dim = rope->find_double("mscale_all_dim");
  result.truncate = rope->find_bool("truncate").value_or(true);
  result.short_factor = rope->find_doubles("short_factor").value_or(std::vector<double>{});
  result.long_factor = rope->find_doubles("long_factor").value_or(std::vector<double>{});
  return result;
}

void read_ropes(ModelConfig& config, const JsonFields& fields, const ModelTypeDefaults& defaults) {
  std::optional<JsonFields> rope = fields.find_object("rope_parameters");
  if (!rope) rope = fields.find_object("rope_scaling");
  // gemma3: one set for each type of layer, or a second theta.
  const auto full = rope ? rope->find_object("full_attention") : std::nullopt;
  const auto sliding = rope ? rope->find_object("sliding_attention") : std::nullopt;
  config.rope = read_rope(fields, full ? full : rope, defaults, config.head_dim);
  if (sliding) {
    config.sliding_rope = read_rope(fields, sliding, defaults, config.head_dim);
  } else if (const auto theta = fields.find_double("rope_local_base_freq")) {
    config.sliding_rope = read_rope(fields, std::nullopt, defaults, config.head_dim);
    config.sliding_rope->theta = *theta;
  }
}

void read_sliding(ModelConfig& config, const JsonFields& fields,
                  const ModelTypeDefaults& defaults) {
  const bool stated = fields.value().contains("sliding_window");  // null: there is none
  config.sliding_window =
      stated ? fields.find_int("sliding_window").value_or(0) : defaults.sliding_window;
  const bool by_layer = defaults.sliding == ModelTypeDefaults::Sliding::kFromMaxWindowLayers;
  if (by_layer && !fields.find_bool("use_sliding_window").value_or(false)) {
    config.sliding_window = 0;
  }
  const auto types = fields.find_strings("layer_types");
  if (!types) {
    mark_sliding_layers(config, defaults, fields.find_int("max_window_layers").value_or(28));
    return;
  }
  check(static_cast<int64_t>(types->size()) == config.layers, ErrorCode::kFailed, fields.name(),
        ": layer_types names ", types->size(), " layers, the model has ", config.layers);
  for (const std::string& type : *types) {
    check(type == "sliding_attention" || type == "full_attention", ErrorCode::kUnsupported,
          fields.name(), ": layer type ", printable(type), " is unknown");
    config.sliding_layers.push_back(type == "sliding_attention");
  }
  if (config.sliding_window == 0 || !std::ranges::count(config.sliding_layers, true)) {
    config.sliding_window = 0;
    config.sliding_layers.clear();
  }
}

void read_biases(ModelConfig& config, const JsonFields& fields, const ModelTypeDefaults& defaults) {
  if (defaults.all_biases) {
    config.qkv_bias = config.attention_output_bias = config.mlp_bias = true;
    return;
  }
  const bool attention = fields.find_bool("attention_bias").value_or(false);
  config.qkv_bias = fields.find_bool("qkv_bias").value_or(attention || defaults.qkv_bias);
  const bool qkv_only = config.model_type == "glm" || config.model_type == "glm4";
  config.attention_output_bias = attention && !qkv_only;
  config.mlp_bias = fields.find_bool("mlp_bias").value_or(false);
}

}  // namespace

ModelConfig config_from_json(std::string_view text, const std::string& path) {
  const nlohmann::json json = parse_json(text, path);
  const JsonFields fields(json, path);
  ModelConfig config;
  config.model_type = fields.find_string("model_type").value_or("");
  const auto architectures = fields.find_strings("architectures");
  config.architecture =
      architectures && !architectures->empty() ? architectures->front() : config.model_type;
  check(!config.architecture.empty(), ErrorCode::kFailed, path,
        ": has neither architectures nor model_type");
  const ModelTypeDefaults& defaults = model_type_defaults(config.model_type);

  config.vocab_size = required_int(fields, {"vocab_size"});
  config.hidden_size = required_int(fields, {"hidden_size", "n_embd"});
  config.layers = required_int(fields, {"num_hidden_layers", "n_layer"});
  config.heads = required_int(fields, {"num_attention_heads", "n_head"});
  config.kv_heads = find_int(fields, {"num_key_value_heads"}).value_or(config.heads);
  config.head_dim = find_int(fields, {"head_dim"}).value_or(defaults.head_dim);
  config.intermediate_size = find_int(fields, {"intermediate_size", "n_inner"}).value_or(0);
  config.max_positions =
      find_int(fields, {"max_position_embeddings", "n_positions"}).value_or(defaults.max_positions);
  config.norm_eps = defaults.norm_eps;
  for (const std::string_view name : {"rms_norm_eps", "layer_norm_eps", "layer_norm_epsilon"}) {
    if (const auto eps = fields.find_double(name)) config.norm_eps = *eps;
  }
  config.hidden_act = defaults.hidden_act;
  for (const std::string_view name :
       {"hidden_act", "hidden_activation", "activation_function", "afn"}) {
    if (const auto act = fields.find_string(name)) config.hidden_act = *act;
  }
  config.tie_embeddings = fields.find_bool("tie_word_embeddings").value_or(defaults.tie_embeddings);
  complete_config(config, path);

  read_biases(config, fields, defaults);
  read_ropes(config, fields, defaults);
  read_sliding(config, fields, defaults);
  config.bos_id = fields.find_int("bos_token_id");
  config.pad_id = fields.find_int("pad_token_id");
  config.eos_ids = fields.find_ids("eos_token_id");

  for (const auto& [name, value] : json.items()) {
    if (value.is_string()) config.strings[name] = value.get<std::string>();
    if (value.is_number()) config.numbers[name] = value.get<double>();
    if (value.is_boolean()) config.numbers[name] = value.get<bool>() ? 1 : 0;
  }
  complete_config(config, path);
  return config;
}

GenerationDefaults generation_from_json(std::string_view text, const std::string& path) {
  const nlohmann::json json = parse_json(text, path);
  const JsonFields fields(json, path);
  GenerationDefaults result;
  result.origin = "generation_config.json";
  result.do_sample = fields.find_bool("do_sample");
  result.temperature = fields.find_double("temperature");
  result.top_k = fields.find_int("top_k");
  result.top_p = fields.find_double("top_p");
  result.min_p = fields.find_double("min_p");
  result.typical_p = fields.find_double("typical_p");
  result.repetition_penalty = fields.find_double("repetition_penalty");
  result.max_new_tokens = fields.find_int("max_new_tokens");
  result.eos_ids = fields.find_ids("eos_token_id");
  result.pad_id = fields.find_int("pad_token_id");
  const std::vector<int64_t> bos = fields.find_ids("bos_token_id");
  if (!bos.empty()) result.bos_id = bos.front();
  return result;
}

}  // namespace zhiyin
