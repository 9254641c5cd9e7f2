#include "export/hf_files.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/file.h"
#include "io/gguf_config.h"
#include "text/tokenizer_json.h"

namespace zhiyin {
namespace {

using Json = nlohmann::ordered_json;
using Scaling = RopeConfig::Scaling;

const char* torch_name(Format format) {
  switch (format) {
    case Format::kF16:
      return "float16";
    case Format::kBF16:
      return "bfloat16";
    default:
      return "float32";
  }
}

// A GGUF of Llama 3.1 holds factors in a tensor, not the settings that they come from. All such
// models have the same frequency factors and were first trained on a power of two of positions.
RopeConfig llama3_rope(const ModelFiles& base) {
  const std::vector<float> factors = to_floats(*find_tensor(base.tensors, "rope_freqs.weight"));
  ModelConfig config = *base.config;
  config.rope.freq_factors_in_tensor = false;
  config.rope.scaling = Scaling::kLlama3;
  config.rope.factor = static_cast<double>(*std::ranges::max_element(factors));
  config.rope.low_freq_factor = 1;
  config.rope.high_freq_factor = 4;
  for (int64_t positions = 16; positions <= 1 << 20; positions *= 2) {
    config.rope.original_max_positions = positions;
    const bool same = std::ranges::equal(
        rope_frequency_factors(config), factors,
        [](float tried, float wanted) { return std::fabs(tried - wanted) < 1e-3f * wanted; });
    if (same) return config.rope;
  }
  fail(
      ErrorCode::kUnsupported, base.path,
      ": its rope_freqs.weight is not a scaling of Llama 3.1's kind, which is all that config.json "
      "can say");
}

void set_rope(Json& config, const ModelFiles& base) {
  const RopeConfig rope =
      base.config->rope.freq_factors_in_tensor ? llama3_rope(base) : base.config->rope;
  config["rope_theta"] = rope.theta;
  const int64_t original =
      rope.original_max_positions > 0 ? rope.original_max_positions : base.config->max_positions;
  switch (rope.scaling) {
    case Scaling::kNone:
      return;
    case Scaling::kLinear:
      config["rope_scaling"] = {{"rope_type", "linear"}, {"factor", rope.factor}};
      return;
    case Scaling::kLlama3:
      config["rope_scaling"] = {{"rope_type", "llama3"},
                                {"factor", rope.factor},
                                {"low_freq_factor", rope.low_freq_factor},
                                {"high_freq_factor", rope.high_freq_factor},
                                {"original_max_position_embeddings", original}};
      return;
    case Scaling::kYarn:
      config["rope_scaling"] = {{"rope_type", "yarn"},
                                {"factor", rope.factor},
                                {"beta_fast", rope.beta_fast},
                                {"beta_slow", rope.beta_slow},
                                {"original_max_position_embeddings", original}};
      if (rope.attention_factor)
        config["rope_scaling"]["attention_factor"] = *rope.attention_factor;
      return;
    default:
      fail(ErrorCode::kUnsupported, base.path,
           ": its rope scaling has no place in config.json yet");
  }
}

// Configuration of a model whose base is a GGUF, as transformers names the fields.
Json config_of_gguf(const ModelFiles& base) {
  const ModelConfig& c = *base.config;
  Json config = {{"architectures", {hf_architecture(c)}},
                 {"model_type", gguf_architecture(c)},
                 {"vocab_size", c.vocab_size},
                 {"hidden_size", c.hidden_size},
                 {"intermediate_size", c.intermediate_size},
                 {"num_hidden_layers", c.layers},
                 {"num_attention_heads", c.heads},
                 {"num_key_value_heads", c.kv_heads},
                 {"head_dim", c.head_dim},
                 {"hidden_act", c.hidden_act},
                 {"max_position_embeddings", c.max_positions},
                 {"rms_norm_eps", c.norm_eps},
                 {"attention_bias", c.attention_output_bias},
                 {"mlp_bias", c.mlp_bias},
                 {"attention_dropout", 0.0},
                 {"initializer_range", 0.02},
                 {"use_cache", true},
                 {"use_sliding_window", false},
                 {"tie_word_embeddings", c.tie_embeddings}};
  set_rope(config, base);
  if (c.bos_id) config["bos_token_id"] = *c.bos_id;
  if (c.pad_id) config["pad_token_id"] = *c.pad_id;
  return config;
}

// The ends of an answer, the one of the chat template first.
Json eos_ids(const HfExport& job) {
  std::vector<int64_t> ids;
  if (job.end_of_answer) ids.push_back(*job.end_of_answer);
  const ModelFiles& base = *job.base;
  for (const auto* more : {&base.generation.eos_ids, &base.config->eos_ids}) {
    for (const int64_t id : *more) {
      if (std::ranges::count(ids, id) == 0) ids.push_back(id);
    }
  }
  if (ids.empty()) return nullptr;
  return ids.size() == 1 ? Json(ids[0]) : Json(ids);
}

Json generation_of(const GenerationDefaults& g) {
  Json json = Json::object();
  const auto set = [&](const char* name, const auto& value) {
    if (value) json[name] = *value;
  };
  set("do_sample", g.do_sample);
  set("temperature", g.temperature);
  set("top_k", g.top_k);
  set("top_p", g.top_p);
  set("min_p", g.min_p);
  set("repetition_penalty", g.repetition_penalty);
  set("bos_token_id", g.bos_id);
  set("pad_token_id", g.pad_id);
  return json;
}

Json parse(const std::string& path) {
  try {
    return Json::parse(read_file(path));
  } catch (const Json::exception& e) {
    fail(ErrorCode::kFailed, path, ": is not valid JSON: ", e.what());
  }
}

class SmallFiles {
 public:
  SmallFiles(const HfExport& job, const std::string& folder)
      : job_(job), base_(*job.base), folder_(folder) {}

  void write(Format format) {
    if (base_.gguf) {
      write_tokenizer_of_gguf();
    } else {
      copy_tokenizer();
    }
    write_template();
    Json generation = generation_of(base_.generation);
    if (!base_.gguf && file_exists(base_.path + "/generation_config.json")) {
      generation = parse(base_.path + "/generation_config.json");
    }
    const Json eos = eos_ids(job_);
    if (!eos.is_null()) generation["eos_token_id"] = eos;
    put("generation_config.json", generation.dump(2) + "\n");

    Json config = base_.gguf ? config_of_gguf(base_) : parse(base_.path + "/config.json");
    config.erase("quantization_config");  // the weights are floats now
    if (!eos.is_null()) config["eos_token_id"] = eos;
    config.erase("dtype");
    config["torch_dtype"] = torch_name(format);
    put("config.json", config.dump(2) + "\n");
  }

 private:
  void put(const std::string& name, const std::string& text) const {
    write_file(folder_ + "/" + name, text);
  }

  void write_tokenizer_of_gguf() const {
    if (job_.tokenizer == nullptr) return;
    put("tokenizer.json", tokenizer_json(*job_.tokenizer));
    put("tokenizer_config.json",
        tokenizer_config_json(*job_.tokenizer, job_.end_of_answer.value_or(kNoToken),
                              base_.config->max_positions));
  }

  void copy_tokenizer() const {
    for (const auto& [name, file] : base_.tokenizer_files) {
      std::string text(reinterpret_cast<const char*>(file.data()), file.size());
      if (name == "tokenizer_config.json" && !job_.chat_template.empty()) {
        Json config = parse(base_.path + "/" + name);
        config.erase("chat_template");  // chat_template.jinja is the one
        text = config.dump(2) + "\n";
      }
      put(name, text);
    }
  }

  void write_template() const {
    std::string text = job_.chat_template;
    if (text.empty() && !base_.chat_templates.empty()) text = base_.chat_templates.front().text;
    if (!text.empty()) put("chat_template.jinja", text);
  }

  const HfExport& job_;
  const ModelFiles& base_;
  const std::string& folder_;
};

}  // namespace

void write_hf_files(const HfExport& job, const std::string& folder, Format format) {
  SmallFiles(job, folder).write(format);
}

}  // namespace zhiyin
