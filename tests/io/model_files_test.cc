// Opening whatever names a model: folders, files, names, and what is none of them.
#include "io/model_files.h"

#include <chrono>
#include <filesystem>

#include "io/files.h"
#include "io/safetensors.h"

namespace zhiyin {
namespace {

using testing::data_path;
using testing::expect_error;
using testing::read_bytes;
using testing::shared_path;
using testing::TemporaryFolder;

namespace fs = std::filesystem;

constexpr const char* kConfig = R"({"architectures": ["LlamaForCausalLM"], "model_type": "llama",
  "vocab_size": 8, "hidden_size": 4, "num_hidden_layers": 1, "num_attention_heads": 2,
  "intermediate_size": 6})";

void write_vector(const std::string& path, const std::string& name) {
  const float values[2] = {1, 2};
  SafetensorsWriter writer(path);
  writer.add_tensor(name, Format::kF32, {2});
  writer.start();
  writer.write(name, values, sizeof values);
  writer.finish();
}

// A GGUF with an embedding of one value and whatever `fill` sets.
void write_gguf(const std::string& path, const std::function<void(GgufWriter&)>& fill,
                bool with_tensor = true) {
  GgufWriter writer(path);
  fill(writer);
  if (with_tensor) writer.add_tensor("token_embd.weight", Format::kF32, {1, 4});
  writer.start();
  const float values[4] = {};
  if (with_tensor) writer.write("token_embd.weight", values, sizeof values);
  writer.finish();
}

void set_llama_sizes(GgufWriter& writer) {
  writer.set("general.architecture", "llama");
  writer.set("llama.embedding_length", uint32_t{4});
  writer.set("llama.block_count", uint32_t{1});
  writer.set("llama.attention.head_count", uint32_t{2});
}

TEST(ModelFiles, OpensAHuggingFaceFolder) {
  const ModelFiles files = open_model_files(data_path("models/qwen2/model"), "");
  EXPECT_EQ(files.kind, ModelKind::kHuggingFace);
  EXPECT_EQ(files.config->architecture, "Qwen2ForCausalLM");
  EXPECT_NE(find_tensor(files.tensors, "model.layers.1.self_attn.q_proj.bias"), nullptr);
  EXPECT_TRUE(files.chat_templates.empty());
  files.require_weights();
}

TEST(ModelFiles, OpensTheFolderThroughItsWeightsFile) {
  const ModelFiles files = open_model_files(data_path("models/qwen2/model/model.safetensors"), "");
  EXPECT_EQ(files.kind, ModelKind::kHuggingFace);
}

TEST(ModelFiles, GivesGgufTensorsHuggingFaceNames) {
  const TemporaryFolder folder;
  write_gguf(folder / "any-ending.bin", [](GgufWriter& writer) {
    set_llama_sizes(writer);
    writer.set("tokenizer.chat_template", "{{ messages }}");
    writer.set("tokenizer.chat_template.tool_use", "{{ tools }}");
  });
  const ModelFiles files = open_model_files(folder / "any-ending.bin", "");
  EXPECT_EQ(files.kind, ModelKind::kGguf);
  EXPECT_EQ(files.tensors[0].name, "model.embed_tokens.weight");
  EXPECT_TRUE(files.config->rope.adjacent);
  ASSERT_EQ(files.chat_templates.size(), 2U);
  EXPECT_EQ(files.chat_templates[0].text, "{{ messages }}");
  EXPECT_EQ(files.chat_templates[1].name, "tool_use");
  EXPECT_EQ(files.chat_templates[1].origin, "tokenizer.chat_template.tool_use");
}

TEST(ModelFiles, KnowsAVocabularyAndAnAdapterFromAModel) {
  const TemporaryFolder folder;
  const auto set_tokens = [](GgufWriter& writer) {
    const std::string_view tokens[] = {"a", "b"};
    writer.set_array("tokenizer.ggml.tokens", std::span(tokens));
  };
  write_gguf(folder / "vocab.gguf", set_tokens, false);
  const ModelFiles files = open_model_files(folder / "vocab.gguf", "");
  EXPECT_EQ(files.kind, ModelKind::kGgufVocabulary);
  expect_error([&] { files.require_weights(); }, ErrorCode::kNotFound, "a vocabulary only");

  write_gguf(folder / "lora.gguf",
             [](GgufWriter& writer) { writer.set("general.type", "adapter"); });
  expect_error([&] { open_model_files(folder / "lora.gguf", ""); }, ErrorCode::kUsage,
               "is a LoRA adapter, not a model");
  write_gguf(folder / "nothing.gguf", [](GgufWriter&) {}, false);
  expect_error([&] { open_model_files(folder / "nothing.gguf", ""); }, ErrorCode::kNotFound,
               "neither tensors nor a vocabulary");
  expect_error([] { open_model_files(data_path("lora/adapter_final"), ""); }, ErrorCode::kUsage,
               "is a LoRA adapter");
}

TEST(ModelFiles, FindsTheOneGgufOfAFolder) {
  const TemporaryFolder folder;
  write_gguf(folder / "model.gguf", set_llama_sizes);
  EXPECT_EQ(open_model_files(folder.path(), "").path, folder / "model.gguf");
  write_file(folder / "config.json", kConfig);  // without weights of its own
  EXPECT_EQ(open_model_files(folder.path(), "").path, folder / "model.gguf");
  write_gguf(folder / "other.gguf", set_llama_sizes);
  expect_error([&] { open_model_files(folder.path(), ""); }, ErrorCode::kUsage,
               "holds 2 GGUF models, name one: model.gguf, other.gguf");
}

TEST(ModelFiles, LooksNamesUpInTheModelsFolder) {
  const TemporaryFolder folder;
  write_gguf(folder / "tiny-Q4_0.gguf", set_llama_sizes);
  EXPECT_EQ(open_model_files("tiny", folder.path()).path, folder / "tiny-Q4_0.gguf");
  EXPECT_EQ(open_model_files("tiny-Q4_0", folder.path()).path, folder / "tiny-Q4_0.gguf");
  expect_error([&] { open_model_files("large", folder.path()); }, ErrorCode::kNotFound,
               "which holds tiny-Q4_0.gguf");
  write_gguf(folder / "tiny-Q8_0.gguf", set_llama_sizes);
  expect_error([&] { open_model_files("tiny", folder.path()); }, ErrorCode::kUsage,
               "could be tiny-Q4_0.gguf or tiny-Q8_0.gguf");
  expect_error([&] { open_model_files("./no/such", folder.path()); }, ErrorCode::kNotFound,
               "no such file or folder");
}

TEST(ModelFiles, OpensTokenizerFilesAlone) {
  const TemporaryFolder folder;
  write_file(folder / "tokenizer.json", "{}");
  const ModelFiles files = open_model_files(folder.path(), "");
  EXPECT_EQ(files.kind, ModelKind::kTokenizerFiles);
  EXPECT_EQ(files.tokenizer_file("tokenizer.json"), "{}");
  EXPECT_EQ(files.tokenizer_file("vocab.txt"), std::nullopt);
  expect_error([&] { files.require_weights(); }, ErrorCode::kNotFound, "has no config.json");
}

TEST(ModelFiles, PrefersSeparateChatTemplates) {
  const TemporaryFolder folder;
  write_file(folder / "config.json", kConfig);
  write_file(folder / "tokenizer_config.json",
             R"({"chat_template": [{"name": "default", "template": "old"},
                                   {"name": "rag", "template": "search"}]})");
  ModelFiles files = open_model_files(folder.path(), "");
  ASSERT_EQ(files.chat_templates.size(), 2U);
  EXPECT_EQ(files.chat_templates[0].text, "old");

  write_file(folder / "chat_template.jinja", "new");
  files = open_model_files(folder.path(), "");
  ASSERT_EQ(files.chat_templates.size(), 2U);
  EXPECT_EQ(files.chat_templates[0].text, "new");
  EXPECT_EQ(files.chat_templates[0].origin, "chat_template.jinja");
  EXPECT_EQ(files.chat_templates[1].text, "search");

  write_file(folder / "tokenizer_config.json", R"({"chat_template": 3})");
  expect_error([&] { open_model_files(folder.path(), ""); }, ErrorCode::kFailed,
               "chat_template is 3, expected a string");
}

TEST(ModelFiles, OpensShardsAndNamesThoseMissing) {
  const TemporaryFolder folder;
  write_file(folder / "config.json", kConfig);
  expect_error([&] { open_model_files(folder.path(), "").require_weights(); }, ErrorCode::kNotFound,
               "has config.json but no weights");
  write_file(folder / "model.safetensors.index.json",
             R"({"weight_map": {"a": "one.safetensors", "b": "two.safetensors"}})");
  write_vector(folder / "one.safetensors", "a");
  expect_error([&] { open_model_files(folder.path(), ""); }, ErrorCode::kNotFound,
               "1 of 2 shards are missing: two.safetensors");
  write_vector(folder / "two.safetensors", "c");
  expect_error([&] { open_model_files(folder.path(), ""); }, ErrorCode::kFailed,
               "tensor b is not in two.safetensors");
  write_vector(folder / "two.safetensors", "a");
  expect_error([&] { open_model_files(folder.path(), ""); }, ErrorCode::kFailed,
               "tensor a is in two.safetensors and in one.safetensors");
  write_vector(folder / "two.safetensors", "b");
  EXPECT_EQ(open_model_files(folder.path(), "").tensors.size(), 2U);

  write_file(folder / "model.safetensors.index.json", R"({"weight_map": {"a": "../one"}})");
  expect_error([&] { open_model_files(folder.path(), ""); }, ErrorCode::kFailed,
               "does not lie beside the index");
}

TEST(ModelFiles, SaysWhatIsNoModel) {
  const TemporaryFolder folder;
  expect_error([&] { open_model_files(folder.path(), ""); }, ErrorCode::kNotFound,
               "it holds nothing");
  write_file(folder / "notes.md", "hello");
  expect_error([&] { open_model_files(folder.path(), ""); }, ErrorCode::kNotFound,
               "it holds notes.md");
  const std::pair<std::string, const char*> cases[] = {
      {"hello", "is neither GGUF nor safetensors"},
      {"", "is empty"},
      {"version https://git-lfs.github.com/spec/v1", "Git LFS pointer"},
      {"PK\x03\x04 pickle", "PyTorch pickle"},
      {"<html>", "web page"},
  };
  for (const auto& [content, expected] : cases) {
    write_file(folder / "file", content);
    expect_error([&] { open_model_files(folder / "file", ""); }, ErrorCode::kUnsupported, expected);
  }
}

// The real models, where they were fetched.
class RealModel : public ::testing::TestWithParam<const char*> {};

TEST_P(RealModel, Opens) {
  const std::string path = testing::model_path(GetParam());
  ZHIYIN_NEEDS(path);
  const auto begin = std::chrono::steady_clock::now();
  const ModelFiles files = open_model_files(path, "");
  const auto tokens = files.gguf->metadata().find_strings("tokenizer.ggml.tokens");
  const auto merges = files.gguf->metadata().find_strings("tokenizer.ggml.merges");
  const std::chrono::duration<double, std::milli> spent = std::chrono::steady_clock::now() - begin;
  EXPECT_LT(spent.count(), 200) << "milliseconds; 30 in an optimised build on an idle machine";
  RecordProperty("milliseconds", std::to_string(spent.count()));
  ASSERT_TRUE(tokens && merges);
  EXPECT_FALSE(files.chat_templates.empty());
  EXPECT_FALSE(files.generation.eos_ids.empty());
  for (const TensorEntry& tensor : files.tensors) {
    EXPECT_TRUE(tensor.name.starts_with("model.") || tensor.name.starts_with("lm_head."))
        << tensor.name;
    tensor.required_format();
  }
}

INSTANTIATE_TEST_SUITE_P(All, RealModel,
                         ::testing::Values("qwen2.5-coder-0.5b-Q4_K_M.gguf",
                                           "qwen2.5-coder-1.5b-Q4_K_M.gguf",
                                           "smollm2-135m-Q4_1.gguf"));

}  // namespace
}  // namespace zhiyin
