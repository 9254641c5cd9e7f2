// Adapters written by PEFT (tests/data/lora), and round trips through both formats.
#include "io/lora_file.h"

#include <filesystem>

#include "io/files.h"
#include "io/gguf.h"
#include "io/safetensors.h"

namespace zhiyin {
namespace {

using testing::data_path;
using testing::expect_error;
using testing::read_bytes;
using testing::TemporaryFolder;

constexpr int64_t kHeadDim = 16;

void expect_equal(const LoraAdapter& left, const LoraAdapter& right) {
  EXPECT_EQ(left.rank, right.rank);
  EXPECT_EQ(left.rope_pairs, right.rope_pairs);
  ASSERT_EQ(left.modules.size(), right.modules.size());
  for (const auto& [path, factors] : left.modules) {
    const LoraFactors& other = right.modules.at(path);
    EXPECT_EQ(left.scale(factors), right.scale(other));
    EXPECT_EQ(factors.in, other.in);
    EXPECT_EQ(factors.out, other.out);
    EXPECT_EQ(factors.a, other.a) << path;
    EXPECT_EQ(factors.b, other.b) << path;
  }
}

TEST(LoraFile, ReadsWhatPeftWrites) {
  const LoraAdapter adapter = read_lora_adapter(data_path("lora/adapter_final"));
  EXPECT_EQ(adapter.rank, 4);
  EXPECT_EQ(adapter.alpha, 8);
  EXPECT_FALSE(adapter.rslora);
  EXPECT_FALSE(adapter.rope_pairs);
  EXPECT_EQ(adapter.modules.size(), 14U);  // 7 linear layers in each of 2 blocks
  const LoraFactors& down = adapter.modules.at("model.layers.0.mlp.down_proj");
  EXPECT_EQ(down.in, 112);
  EXPECT_EQ(down.out, 64);
  EXPECT_EQ(down.a.size(), 4U * 112);
  EXPECT_EQ(down.b.size(), 64U * 4);
  EXPECT_EQ(adapter.scale(down), 2.0F);
}

TEST(LoraFile, RoundTripsThroughPeft) {
  const LoraAdapter adapter = read_lora_adapter(data_path("lora/adapter_final"));
  const TemporaryFolder folder;
  write_peft_adapter(folder / "copy", adapter, kHeadDim);
  EXPECT_TRUE(is_lora_adapter(folder / "copy"));
  expect_equal(read_lora_adapter(folder / "copy"), adapter);
}

TEST(LoraFile, RoundTripsThroughGguf) {
  LoraAdapter adapter = read_lora_adapter(data_path("lora/adapter_final"));
  const TemporaryFolder folder;
  write_gguf_adapter(folder / "qwen2.gguf", adapter, "qwen2", kHeadDim);
  EXPECT_TRUE(is_lora_adapter(folder / "qwen2.gguf"));
  expect_equal(read_lora_adapter(folder / "qwen2.gguf"), adapter);
  const GgufFile file(folder / "qwen2.gguf");
  EXPECT_EQ(find_tensor(file.tensors(), "blk.0.ffn_down.weight.lora_a")->shape,
            (std::vector<int64_t>{4, 112}));
  EXPECT_EQ(file.metadata().find_f64("adapter.lora.alpha"), 8.0);

  // llama's q and k rows stand in pairs in a GGUF: row 1 of a head is row 8 of the half-split one.
  write_gguf_adapter(folder / "llama.gguf", adapter, "llama", kHeadDim);
  LoraAdapter pairs = read_lora_adapter(folder / "llama.gguf");
  EXPECT_TRUE(pairs.rope_pairs);
  const std::string q = "model.layers.1.self_attn.q_proj", v = "model.layers.1.self_attn.v_proj";
  const auto& rows = pairs.modules.at(q).b;
  const auto& halves = adapter.modules.at(q).b;
  EXPECT_TRUE(std::equal(rows.begin() + 4, rows.begin() + 8, halves.begin() + 8 * 4));
  EXPECT_EQ(pairs.modules.at(v).b, adapter.modules.at(v).b);
  set_rope_pairs(pairs, false, kHeadDim);
  expect_equal(pairs, adapter);
}

TEST(LoraFile, KeepsTheScaleOfRsLora) {
  LoraAdapter adapter = read_lora_adapter(data_path("lora/adapter_final"));
  adapter.rslora = true;
  const LoraFactors& any = adapter.modules.begin()->second;
  EXPECT_EQ(adapter.scale(any), 4.0F);  // 8 / sqrt(4)
  const TemporaryFolder folder;
  write_peft_adapter(folder / "peft", adapter, kHeadDim);
  EXPECT_EQ(read_lora_adapter(folder / "peft").scale(any), 4.0F);
  write_gguf_adapter(folder / "lora.gguf", adapter, "qwen2", kHeadDim);
  EXPECT_EQ(read_lora_adapter(folder / "lora.gguf").scale(any), 4.0F);
}

// A PEFT folder with the given config and one tensor.
void write_adapter(const TemporaryFolder& folder, const std::string& config,
                   const std::string& tensor) {
  write_file(folder / "adapter_config.json", config);
  const float values[8] = {};
  SafetensorsWriter writer(folder / "adapter_model.safetensors");
  writer.add_tensor(tensor, Format::kF32, {2, 4});
  writer.start();
  writer.write(tensor, values, sizeof values);
  writer.finish();
}

TEST(LoraFile, RefusesWhatIsNotPlainLora) {
  const TemporaryFolder folder;
  const std::string a = "base_model.model.m.lora_A.weight";
  write_adapter(folder, R"({"r": 2, "use_dora": true})", a);
  expect_error([&] { read_lora_adapter(folder.path()); }, ErrorCode::kUnsupported,
               "use_dora is true");
  write_adapter(folder, R"({"r": 2, "peft_type": "IA3"})", a);
  expect_error([&] { read_lora_adapter(folder.path()); }, ErrorCode::kUnsupported,
               "peft_type is IA3");
  write_adapter(folder, R"({"r": 2, "alpha_pattern": {"q_proj": 4}})", a);
  expect_error([&] { read_lora_adapter(folder.path()); }, ErrorCode::kUnsupported, "alpha_pattern");
  write_adapter(folder, R"({"r": 2})", "base_model.model.lm_head.weight");
  expect_error([&] { read_lora_adapter(folder.path()); }, ErrorCode::kUnsupported,
               "lm_head.weight is no LoRA factor");
  write_adapter(folder, R"({"r": 2})", a);
  expect_error([&] { read_lora_adapter(folder.path()); }, ErrorCode::kFailed,
               "module m has only one of its two factors");
  write_adapter(folder, R"({"lora_alpha": 2})", a);
  expect_error([&] { read_lora_adapter(folder.path()); }, ErrorCode::kFailed, "no rank r");
  expect_error([&] { read_lora_adapter(data_path("io/types.gguf")); }, ErrorCode::kUsage,
               "is a model, not a LoRA adapter");
}

}  // namespace
}  // namespace zhiyin
