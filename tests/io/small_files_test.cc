// Checkpoints, .npy files and the tables of tensor names.
#include <cstring>

#include "io/checkpoint.h"
#include "io/files.h"
#include "io/npy.h"
#include "io/tensor_names.h"

namespace zhiyin {
namespace {

using testing::Bytes;
using testing::expect_error;
using testing::read_bytes;
using testing::TemporaryFolder;

TEST(Checkpoint, RoundTripsAndFindsDamage) {
  const TemporaryFolder folder;
  const std::string path = folder / "checkpoint";
  const std::vector<float> weights = {1, -2, 3.5F}, none, moments = {0, 1e-20F};
  const NamedFloats arrays[] = {{"w", weights}, {"none", none}, {"m", moments}, {"also", none}};
  save_checkpoint(path, R"({"step": 3})", arrays);
  const Checkpoint checkpoint = load_checkpoint(path);
  EXPECT_EQ(checkpoint.state, R"({"step": 3})");
  EXPECT_EQ(checkpoint.arrays.size(), 4U);
  EXPECT_EQ(checkpoint.arrays.at("w"), weights);
  EXPECT_EQ(checkpoint.arrays.at("m"), moments);

  const Bytes bytes = read_bytes(path);
  save_checkpoint(path, R"({"step": 3})", arrays);
  EXPECT_EQ(read_bytes(path), bytes);
  for (size_t at = bytes.size() - 20; at < bytes.size(); ++at) {
    Bytes damaged = bytes;
    damaged[at] ^= 1;
    write_file(path, {reinterpret_cast<const char*>(damaged.data()), damaged.size()});
    expect_error([&] { load_checkpoint(path); }, ErrorCode::kFailed, "is damaged");
  }
  expect_error([] { load_checkpoint(testing::data_path("io/types.safetensors")); },
               ErrorCode::kFailed, "is not a checkpoint");
}

TEST(Npy, WritesRowsUnderAHeaderOf128Bytes) {
  const TemporaryFolder folder;
  const float values[6] = {0, 1, 2, 3, 4, 5};
  NpyWriter writer(folder / "logits.npy", 2);
  writer.append(values, 1);
  writer.append(values + 2, 2);
  EXPECT_FALSE(file_exists(folder / "logits.npy"));
  writer.finish();
  const std::string bytes = read_file(folder / "logits.npy");
  ASSERT_EQ(bytes.size(), 128 + sizeof values);
  EXPECT_EQ(bytes.substr(0, 10), std::string("\x93NUMPY\x01\x00\x76\x00", 10));
  EXPECT_THAT(bytes,
              ::testing::HasSubstr("{'descr': '<f4', 'fortran_order': False, 'shape': (3, 2), }"));
  EXPECT_EQ(bytes[127], '\n');
  EXPECT_EQ(std::memcmp(bytes.data() + 128, values, sizeof values), 0);
}

TEST(TensorNames, TranslateBothWays) {
  const struct {
    const char *architecture, *gguf, *hf;
  } cases[] = {
      {"qwen2", "blk.12.attn_q.bias", "model.layers.12.self_attn.q_proj.bias"},
      {"qwen3", "blk.0.attn_q_norm.weight", "model.layers.0.self_attn.q_norm.weight"},
      {"llama", "blk.7.ffn_norm.weight", "model.layers.7.post_attention_layernorm.weight"},
      {"llama", "output.weight", "lm_head.weight"},
      {"llama", "output_norm.weight", "model.norm.weight"},
      {"llama", "blk.3.ffn_down", "model.layers.3.mlp.down_proj"},
      {"gpt2", "blk.1.attn_qkv.weight", "transformer.h.1.attn.c_attn.weight"},
      {"bert", "blk.1.attn_output_norm.bias",
       "bert.encoder.layer.1.attention.output.LayerNorm.bias"},
  };
  for (const auto& [architecture, gguf, hf] : cases) {
    EXPECT_EQ(hf_tensor_name(architecture, gguf), hf);
    EXPECT_EQ(gguf_tensor_name(architecture, hf), gguf);
  }
  EXPECT_EQ(hf_tensor_name("llama", "rope_freqs.weight"), "rope_freqs.weight");
  EXPECT_EQ(hf_tensor_name("llama", "blk.x.attn_q.weight"), "blk.x.attn_q.weight");
  EXPECT_EQ(gguf_tensor_name("llama", "model.layers.0.self_attn.rotary"), std::nullopt);
  EXPECT_FALSE(has_tensor_names("unheard-of"));
}

TEST(TensorNames, SayWhereValuesMove) {
  EXPECT_EQ(gguf_layout("llama", "model.layers.0.self_attn.q_proj.weight"), GgufLayout::kRopePairs);
  EXPECT_EQ(gguf_layout("llama", "model.layers.0.self_attn.k_proj.bias"), GgufLayout::kRopePairs);
  EXPECT_EQ(gguf_layout("llama", "model.layers.0.self_attn.v_proj.weight"), GgufLayout::kSame);
  EXPECT_EQ(gguf_layout("qwen2", "model.layers.0.self_attn.q_proj.weight"), GgufLayout::kSame);
  EXPECT_EQ(gguf_layout("gpt2", "transformer.h.0.mlp.c_fc.weight"), GgufLayout::kTransposed);
  EXPECT_EQ(gguf_layout("gpt2", "transformer.h.0.ln_1.weight"), GgufLayout::kSame);

  // Two heads of 4 rows: halves (0 1 | 2 3) become pairs (0 2) (1 3).
  const std::vector<float> halves = {0, 1, 2, 3, 4, 5, 6, 7}, pairs = {0, 2, 1, 3, 4, 6, 5, 7};
  EXPECT_EQ(to_rope_pairs(halves, 1, 4), pairs);
  EXPECT_EQ(from_rope_pairs(pairs, 1, 4), halves);
  expect_error([&] { to_rope_pairs(halves, 1, 3); }, ErrorCode::kFailed, "heads of 3");
}

}  // namespace
}  // namespace zhiyin
