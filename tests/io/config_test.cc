// Model configurations of the golden folders and of small files written here.
#include "io/files.h"
#include "io/gguf_config.h"
#include "io/hf_config.h"

namespace zhiyin {
namespace {

using testing::data_path;

ModelConfig golden_config(const std::string& model) {
  const std::string path = data_path("models/" + model + "/model/config.json");
  return config_from_json(read_file(path), path);
}

TEST(Config, ReadsTheNewLayout) {
  const ModelConfig config = golden_config("llama31");
  EXPECT_EQ(config.architecture, "LlamaForCausalLM");
  EXPECT_EQ(config.vocab_size, 257);
  EXPECT_EQ(config.head_dim, 16);
  EXPECT_EQ(config.kv_heads, 2);
  EXPECT_TRUE(config.tie_embeddings);
  EXPECT_EQ(config.rope.scaling, RopeConfig::Scaling::kLlama3);
  EXPECT_EQ(config.rope.theta, 5e5);
  EXPECT_EQ(config.rope.factor, 8.0);
  EXPECT_EQ(config.rope.original_max_positions, 32);
  EXPECT_EQ(config.eos_ids, std::vector<int64_t>{2});
}

}  // namespace
}  // namespace zhiyin
