// Model configurations of the golden folders and of small files written here.
#include <functional>

#include "io/files.h"
#include "io/gguf_config.h"
#include "io/hf_config.h"

namespace zhiyin {
namespace {

using testing::data_path;
using testing::expect_error;
using testing::TemporaryFolder;
using Scaling = RopeConfig::Scaling;

ModelConfig golden_config(const std::string& model) {
  const std::string path = data_path("models/" + model + "/model/config.json");
  return config_from_json(read_file(path), path);
}

// A llama config.json with `more` fields.
ModelConfig llama_with(const std::string& more, const std::string& type = "llama") {
  return config_from_json(
      cat(R"({"model_type": ")", type, R"(", "vocab_size": 100, "hidden_size": 64,
           "num_hidden_layers": 4, "num_attention_heads": 4, "intermediate_size": 96)",
          more.empty() ? "" : ", ", more, "}"),
      "config.json");
}

TEST(Config, ReadsTheNewLayout) {
  const ModelConfig config = golden_config("llama31");
  EXPECT_EQ(config.architecture, "LlamaForCausalLM");
  EXPECT_EQ(config.model_type, "llama");
  EXPECT_EQ(config.vocab_size, 257);
  EXPECT_EQ(config.hidden_size, 64);
  EXPECT_EQ(config.intermediate_size, 112);
  EXPECT_EQ(config.layers, 2);
  EXPECT_EQ(config.heads, 4);
  EXPECT_EQ(config.kv_heads, 2);
  EXPECT_EQ(config.head_dim, 16);
  EXPECT_EQ(config.max_positions, 256);
  EXPECT_EQ(config.hidden_act, "silu");
  EXPECT_TRUE(config.tie_embeddings);
  EXPECT_FALSE(config.qkv_bias);
  EXPECT_EQ(config.rope.scaling, Scaling::kLlama3);
  EXPECT_EQ(config.rope.theta, 5e5);
  EXPECT_EQ(config.rope.factor, 8.0);
  EXPECT_EQ(config.rope.low_freq_factor, 1.0);
  EXPECT_EQ(config.rope.high_freq_factor, 4.0);
  EXPECT_EQ(config.rope.original_max_positions, 32);
  EXPECT_EQ(config.bos_id, 1);
  EXPECT_EQ(config.eos_ids, std::vector<int64_t>{2});

  const ModelConfig yarn = golden_config("llama_yarn");
  EXPECT_EQ(yarn.rope.scaling, Scaling::kYarn);
  EXPECT_EQ(yarn.rope.original_max_positions, 64);
  EXPECT_FALSE(yarn.rope.attention_factor.has_value());

  const ModelConfig qwen = golden_config("qwen2");
  EXPECT_TRUE(qwen.qkv_bias);
  EXPECT_FALSE(qwen.attention_output_bias);
  EXPECT_EQ(qwen.sliding_window, 0);
  EXPECT_EQ(qwen.rope.theta, 10000.0);
  EXPECT_TRUE(qwen.eos_ids.empty());
}

TEST(Config, ReadsTheOldLayoutToTheSame) {
  for (const char* key : {"type", "rope_type"}) {
    const ModelConfig config = llama_with(
        cat(R"("rope_theta": 500000.0, "rope_scaling": {")", key,
            R"(": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
               "original_max_position_embeddings": 8192})"));
    EXPECT_EQ(config.rope.theta, 5e5);
    EXPECT_EQ(config.rope.scaling, Scaling::kLlama3);
    EXPECT_EQ(config.rope.factor, 8.0);
    EXPECT_EQ(config.rope.original_max_positions, 8192);
  }
  EXPECT_EQ(llama_with(R"("rope_scaling": null)").rope.scaling, Scaling::kNone);
  const ModelConfig linear = llama_with(R"("rope_scaling": {"type": "linear", "factor": 2})");
  EXPECT_EQ(linear.rope.scaling, Scaling::kLinear);
  EXPECT_EQ(linear.rope.theta, 10000.0);
}

TEST(Config, FillsWhatIsAbsentAsTransformersDoes) {
  const ModelConfig llama = llama_with("");
  EXPECT_EQ(llama.architecture, "llama");
  EXPECT_EQ(llama.kv_heads, 4);
  EXPECT_EQ(llama.head_dim, 16);
  EXPECT_EQ(llama.max_positions, 2048);
  EXPECT_EQ(llama.norm_eps, 1e-6);
  EXPECT_FALSE(llama.tie_embeddings);
  EXPECT_EQ(llama_with(R"("head_dim": null)").head_dim, 16);
  EXPECT_EQ(llama_with("", "qwen2").max_positions, 32768);
  EXPECT_EQ(llama_with("", "qwen3").head_dim, 128);
  EXPECT_TRUE(llama_with("", "gemma2").tie_embeddings);
  EXPECT_EQ(llama_with("", "glm").rope.dimensions, 64);  // half of a head of 128
  const ModelConfig biased = llama_with(R"("attention_bias": true, "mlp_bias": true)");
  EXPECT_TRUE(biased.qkv_bias && biased.attention_output_bias && biased.mlp_bias);
}

TEST(Config, MarksTheLayersThatSlide) {
  EXPECT_EQ(
      llama_with(R"("sliding_window": 32, "use_sliding_window": false)", "qwen2").sliding_window,
      0);
  const ModelConfig qwen = llama_with(
      R"("sliding_window": 32, "use_sliding_window": true, "max_window_layers": 3)", "qwen2");
  EXPECT_EQ(qwen.sliding_window, 32);
  EXPECT_EQ(qwen.sliding_layers, (std::vector<bool>{false, false, false, true}));
  EXPECT_EQ(llama_with("", "mistral").sliding_window, 4096);
  EXPECT_EQ(llama_with(R"("sliding_window": null)", "mistral").sliding_window, 0);
  EXPECT_EQ(llama_with("", "gemma2").sliding_layers, (std::vector<bool>{true, false, true, false}));
  const ModelConfig named = llama_with(
      R"("sliding_window": 8, "layer_types": ["full_attention", "sliding_attention",
         "full_attention", "full_attention"])",
      "mistral");
  EXPECT_EQ(named.sliding_layers, (std::vector<bool>{false, true, false, false}));
}

TEST(Config, KeepsOtherScalarsByName) {
  const ModelConfig config = llama_with(R"("num_experts": 6, "norm_topk_prob": true)");
  EXPECT_EQ(config.number("num_experts", 0), 6);
  EXPECT_EQ(config.number("norm_topk_prob", 0), 1);
  EXPECT_EQ(config.number("absent", -1), -1);
  EXPECT_EQ(config.strings.at("model_type"), "llama");
}

TEST(Config, NamesTheFieldThatIsWrong) {
  const std::pair<const char*, const char*> cases[] = {
      {R"("rope_theta": "big")", "rope_theta is \"big\", expected a number"},
      {R"("rope_scaling": {"type": "linear"})", "rope_scaling: has no factor"},
      {R"("rope_scaling": {"type": "llama3", "factor": 2})", "has no low_freq_factor"},
      {R"("num_key_value_heads": 3)", "4 attention heads are no multiple of 3"},
      {R"("head_dim": -2)", "head_dim is -2"},
      {R"("max_position_embeddings": 1e30)", "max_position_embeddings is 1e+30, expected an int"},
      {R"("rope_theta": 0)", "rope theta is 0"},
      {R"("tie_word_embeddings": 1)", "tie_word_embeddings is 1, expected true or false"},
      {R"("layer_types": ["full_attention"])", "layer_types names 1 layers, the model has 4"},
      {R"("rope_scaling": {"type": "linear", "factor": -1})", "rope factor is -1"},
  };
  for (const auto& [field, expected] : cases) {
    expect_error([&] { llama_with(field); }, ErrorCode::kFailed, expected);
  }
  expect_error([] { llama_with(R"("rope_scaling": {"type": "spiral", "factor": 2})"); },
               ErrorCode::kUnsupported, "rope type spiral is unknown");
  expect_error([] { config_from_json("{\"a\": }", "x/config.json"); }, ErrorCode::kFailed,
               "x/config.json: byte 7: is not valid JSON");
  expect_error([] { config_from_json("[]", "x"); }, ErrorCode::kFailed, "is not a JSON object");
  expect_error([] { config_from_json("{}", "x"); }, ErrorCode::kFailed,
               "neither architectures nor model_type");
  expect_error([] { config_from_json(R"({"model_type": "llama"})", "x"); }, ErrorCode::kFailed,
               "has no vocab_size");
}

TEST(Config, ReadsGenerationDefaults) {
  const GenerationDefaults defaults = generation_from_json(
      R"({"do_sample": true, "temperature": 0.7, "top_k": 20, "top_p": 0.8,
          "repetition_penalty": 1.05, "eos_token_id": [151645, 151643], "bos_token_id": 151643})",
      "generation_config.json");
  EXPECT_EQ(defaults.origin, "generation_config.json");
  EXPECT_EQ(defaults.do_sample, true);
  EXPECT_EQ(defaults.temperature, 0.7);
  EXPECT_EQ(defaults.top_k, 20);
  EXPECT_EQ(defaults.top_p, 0.8);
  EXPECT_EQ(defaults.repetition_penalty, 1.05);
  EXPECT_EQ(defaults.eos_ids, (std::vector<int64_t>{151645, 151643}));
  EXPECT_EQ(defaults.bos_id, 151643);
  EXPECT_FALSE(defaults.min_p.has_value());
  EXPECT_EQ(generation_from_json(R"({"eos_token_id": 2})", "g").eos_ids, std::vector<int64_t>{2});
}

// ---------------------------------------------------------------------------------------- GGUF

void add_zeros(GgufWriter& writer, std::vector<std::pair<std::string, size_t>>& tensors,
               const std::string& name, std::vector<int64_t> shape) {
  size_t count = 1;
  for (const int64_t size : shape) count *= static_cast<size_t>(size);
  tensors.emplace_back(name, count);
  writer.add_tensor(name, Format::kF32, std::move(shape));
}

// The configuration of a small GGUF of the architecture: 10 tokens, 64 wide, 4 layers, 4 heads.
ModelConfig gguf_with(const std::string& architecture,
                      const std::function<void(GgufWriter&)>& set_more,
                      const std::vector<std::pair<std::string, int64_t>>& more_tensors = {}) {
  const TemporaryFolder folder;
  GgufWriter writer(folder / "model.gguf");
  writer.set("general.architecture", architecture);
  writer.set(architecture + ".embedding_length", uint32_t{64});
  writer.set(architecture + ".block_count", uint32_t{4});
  writer.set(architecture + ".attention.head_count", uint32_t{4});
  set_more(writer);
  std::vector<std::pair<std::string, size_t>> tensors;
  add_zeros(writer, tensors, "token_embd.weight", {10, 64});
  for (const auto& [name, size] : more_tensors) add_zeros(writer, tensors, name, {size});
  writer.start();
  for (const auto& [name, count] : tensors) {
    const std::vector<float> zeros(count);
    writer.write(name, zeros.data(), count * sizeof(float));
  }
  writer.finish();
  return config_from_gguf(GgufFile(folder / "model.gguf"));
}

TEST(GgufConfig, ReadsLlama) {
  const ModelConfig config =
      gguf_with("llama",
                [](GgufWriter& writer) {
                  writer.set("llama.attention.head_count_kv", uint32_t{2});
                  writer.set("llama.feed_forward_length", uint32_t{96});
                  writer.set("llama.context_length", uint32_t{512});
                  writer.set("llama.rope.dimension_count", uint32_t{16});
                  writer.set("llama.rope.freq_base", 5e5F);
                  writer.set("llama.attention.layer_norm_rms_epsilon", 1e-5F);
                  writer.set("llama.vocab_size", uint32_t{9});  // the embedding is padded
                  writer.set("tokenizer.ggml.eos_token_id", uint32_t{7});
                  writer.set("tokenizer.ggml.eot_token_id", uint32_t{8});
                  writer.set("tokenizer.ggml.bos_token_id", uint32_t{1});
                },
                {{"rope_freqs.weight", 8}});
  EXPECT_EQ(config.architecture, "llama");
  EXPECT_EQ(config.vocab_size, 10);
  EXPECT_EQ(config.hidden_size, 64);
  EXPECT_EQ(config.kv_heads, 2);
  EXPECT_EQ(config.head_dim, 16);
  EXPECT_EQ(config.intermediate_size, 96);
  EXPECT_EQ(config.max_positions, 512);
  EXPECT_NEAR(config.norm_eps, 1e-5, 1e-12);
  EXPECT_TRUE(config.tie_embeddings);
  EXPECT_EQ(config.rope.theta, 5e5);
  EXPECT_TRUE(config.rope.adjacent);
  EXPECT_TRUE(config.rope.freq_factors_in_tensor);
  EXPECT_EQ(config.eos_ids, (std::vector<int64_t>{7, 8}));
  EXPECT_EQ(config.bos_id, 1);
}

TEST(GgufConfig, ReadsQwen2WithYarn) {
  const ModelConfig config =
      gguf_with("qwen2",
                [](GgufWriter& writer) {
                  writer.set("qwen2.rope.scaling.type", "yarn");
                  writer.set("qwen2.rope.scaling.factor", 4.0F);
                  writer.set("qwen2.rope.scaling.original_context_length", uint32_t{32768});
                },
                {{"blk.0.attn_q.bias", 64}, {"output.weight", 4}});
  EXPECT_FALSE(config.rope.adjacent);
  EXPECT_EQ(config.rope.scaling, Scaling::kYarn);
  EXPECT_EQ(config.rope.factor, 4.0);
  EXPECT_EQ(config.rope.original_max_positions, 32768);
  EXPECT_TRUE(config.qkv_bias);
  EXPECT_FALSE(config.attention_output_bias);
  EXPECT_FALSE(config.tie_embeddings);
}

TEST(GgufConfig, NamesTheKeyThatIsWrong) {
  expect_error(
      [] { gguf_with("qwen2", [](GgufWriter& w) { w.set("qwen2.block_count", "four"); }); },
      ErrorCode::kFailed, "key qwen2.block_count holds string, expected an integer");
  expect_error(
      [] { gguf_with("qwen2", [](GgufWriter& w) { w.remove("qwen2.attention.head_count"); }); },
      ErrorCode::kFailed, "has no key qwen2.attention.head_count");
  expect_error(
      [] { gguf_with("llama", [](GgufWriter& w) { w.set("llama.rope.dimension_count", 99U); }); },
      ErrorCode::kFailed, "rope rotates 99 of 16 elements");
}

TEST(GgufConfig, ReadsSamplingDefaults) {
  const TemporaryFolder folder;
  GgufWriter writer(folder / "model.gguf");
  writer.set("general.sampling.top_k", int32_t{40});
  writer.set("general.sampling.temp", 0.5F);
  writer.set("general.sampling.sequence", "top_k;temperature");
  writer.start();
  writer.finish();
  const GenerationDefaults defaults =
      generation_from_gguf(GgufFile(folder / "model.gguf").metadata());
  EXPECT_EQ(defaults.origin, "general.sampling.*");
  EXPECT_EQ(defaults.top_k, 40);
  EXPECT_EQ(defaults.temperature, 0.5);
  EXPECT_EQ(defaults.sequence, "top_k;temperature");
  EXPECT_FALSE(defaults.top_p.has_value());
}

}  // namespace
}  // namespace zhiyin
