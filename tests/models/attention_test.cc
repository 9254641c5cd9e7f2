#include "nn/attention.h"

#include <gtest/gtest.h>

#include <cmath>

#include "harness/check_op.h"
#include "nn/rotary.h"

namespace zhiyin {
namespace {

constexpr int64_t kHidden = 96, kHeads = 4, kKvHeads = 2, kHeadDim = 32, kTokens = 80;

// Keys of Qwen2 have biases that are tens of times their other part. A cache of bytes must not lose
// that part to them.
TEST(SelfAttention, KeepsSmallPartsOfKeysInACacheOfBytes) {
  for (const bool adjacent : {false, true}) {
    Context context({.threads = 2, .precision = Precision::kExact});
    ModelConfig config;
    config.hidden_size = kHidden;
    config.heads = kHeads;
    config.kv_heads = kKvHeads;
    config.head_dim = kHeadDim;
    config.qkv_bias = true;
    config.rope.adjacent = adjacent;
    config.rope.theta = 1e6;
    std::vector<Weight> tensors;
    uint64_t seed = 1;
    const auto add_tensor = [&](const char* name, int64_t rows, int64_t cols, float size) {
      std::vector<float> values = testing::random_values(rows * cols, seed++);
      for (float& value : values) value *= size;
      tensors.push_back(
          Weight::packed_from(context, name, Format::kF32, rows, cols, values.data()));
    };
    for (const auto& [name, rows] : {std::pair("q_proj.weight", kHeads * kHeadDim),
                                     std::pair("k_proj.weight", kKvHeads * kHeadDim),
                                     std::pair("v_proj.weight", kKvHeads * kHeadDim)}) {
      add_tensor(name, rows, kHidden, 0.1f);
    }
    add_tensor("o_proj.weight", kHidden, kHeads * kHeadDim, 0.1f);
    add_tensor("q_proj.bias", 1, kHeads * kHeadDim, 0.1f);
    add_tensor("v_proj.bias", 1, kKvHeads * kHeadDim, 0.1f);
    // Large where positions turn little: the slower half of the pairs.
    std::vector<float> bias = testing::random_values(kKvHeads * kHeadDim, seed++);
    for (size_t i = 0; i < bias.size(); ++i) {
      const size_t channel = i % kHeadDim;
      const size_t pair = adjacent ? channel / 2 : channel % (kHeadDim / 2);
      if (pair >= kHeadDim / 4) bias[i] *= 60;
    }
    tensors.push_back(Weight::packed_from(context, "k_proj.bias", Format::kF32, 1,
                                          kKvHeads * kHeadDim, bias.data()));
    const Weights weights(context, "test", std::move(tensors));
    const SelfAttention attention(config, weights, 0);
    const RotaryEmbedding rotary(config.rope, kHeadDim, 4096, {});
    const Tensor x = testing::random_tensor(context, {kTokens, kHidden}, 50);
    std::vector<int32_t> ids(kTokens);
    Batch batch;
    batch.add(ids);
    const Rotation rotation = rotary.at(context, batch.positions());
    const std::vector<float> wanted = attention(x, rotation, batch, nullptr).to_vector();
    KvCache cache(context, {.layers = 1, .kv_heads = kKvHeads, .head_dim = kHeadDim}, KvType::kQ8_0,
                  kTokens);
    batch.spans[0].sequence = cache.add_sequence();
    cache.reserve(batch.spans[0].sequence, kTokens);
    const std::vector<float> got = attention(x, rotation, batch, &cache).to_vector();
    double errors = 0, squares = 0;
    for (size_t i = 0; i < got.size(); ++i) {
      errors += std::pow(static_cast<double>(got[i] - wanted[i]), 2);
      squares += std::pow(static_cast<double>(wanted[i]), 2);
    }
    EXPECT_LT(std::sqrt(errors / squares), 0.01) << "adjacent " << adjacent;
  }
}

}  // namespace
}  // namespace zhiyin
