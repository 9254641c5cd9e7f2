// Damaged headers: every one gives an error or a valid model, never another exception, a crash or
// an allocation that the file cannot justify.
#include <fstream>

#include "io/allocations.h"
#include "io/files.h"
#include "io/hf_config.h"
#include "io/model_files.h"
#include "io/safetensors.h"

namespace zhiyin {
namespace {

using testing::Bytes;
using testing::data_path;
using testing::mutated;
using testing::read_bytes;
using testing::TemporaryFolder;

constexpr size_t kGibibyte = size_t{1} << 30;

void write_quickly(const std::string& path, const Bytes& bytes) {
  std::ofstream file(path, std::ios::binary);
  file.write(reinterpret_cast<const char*>(bytes.data()),
             static_cast<std::streamsize>(bytes.size()));
}

// A small llama with everything a model file has.
void write_small_llama(const std::string& path) {
  GgufWriter writer(path);
  writer.set("general.architecture", "llama");
  writer.set("llama.embedding_length", uint32_t{4});
  writer.set("llama.block_count", uint32_t{1});
  writer.set("llama.attention.head_count", uint32_t{2});
  writer.set("llama.rope.freq_base", 10000.0F);
  writer.set("general.sampling.top_k", int32_t{40});
  const std::string_view tokens[] = {"<s>", "a", "b", "ab"};
  writer.set_array("tokenizer.ggml.tokens", std::span(tokens));
  const float scores[] = {0, 1, 2, 3};
  writer.set_array("tokenizer.ggml.scores", std::span<const float>(scores));
  writer.set("tokenizer.ggml.eos_token_id", uint32_t{0});
  writer.set("tokenizer.chat_template", "{{ messages }}");
  writer.add_tensor("token_embd.weight", Format::kF32, {4, 4});
  writer.add_tensor("rope_freqs.weight", Format::kF32, {1});
  writer.add_tensor("blk.0.attn_q.weight", Format::kF16, {4, 4});
  writer.start();
  const float zeros[16] = {};
  writer.write("token_embd.weight", zeros, 64);
  writer.write("rope_freqs.weight", zeros, 4);
  writer.write("blk.0.attn_q.weight", zeros, 32);
  writer.finish();
}

// Looks at everything a valid file offers.
void use(const ModelFiles& files) {
  unsigned sum = 0;
  for (const TensorEntry& tensor : files.tensors) {
    if (tensor.bytes > 0) sum += tensor.data[0] + tensor.data[tensor.bytes - 1];
  }
  if (files.gguf) {
    for (const GgufField& field : files.gguf->metadata().fields()) {
      sum += static_cast<unsigned>(GgufMetadata::text(field).size());
    }
  }
  volatile unsigned sink = sum;
  static_cast<void>(sink);
}

// Opens `count` mutated copies; returns how many were still valid.
template <typename Action>
int count_valid(const Bytes& original, size_t header, int count, uint32_t seed, Action open) {
  testing::reset_largest_allocation();
  int valid = 0;
  for (int i = 0; i < count; ++i) {
    try {
      open(mutated(original, header, seed + static_cast<uint32_t>(i)));
      ++valid;
    } catch (const Error& error) {
      EXPECT_EQ(std::string_view(error.what()).find('\n'), std::string_view::npos) << error.what();
    }
  }
  EXPECT_LT(testing::largest_allocation(), kGibibyte);
  return valid;
}

// GGUF, safetensors and config.json in turn; a third of `count` each.
void open_mutations(int count) {
  const TemporaryFolder folder;
  const std::string path = folder / "model";
  write_small_llama(path);
  const auto open = [&](const Bytes& bytes) {
    write_quickly(path, bytes);
    use(open_model_files(path, ""));
  };
  const Bytes gguf = read_bytes(path);
  const int valid = count_valid(gguf, gguf.size() - 128, count / 3, 1, open);
  EXPECT_GT(valid, 0) << "a change inside a string leaves a valid file";
  EXPECT_LT(valid, count / 3) << "most changes must be noticed";

  const Bytes tensors = read_bytes(data_path("io/types.safetensors"));
  EXPECT_LT(count_valid(tensors, 340, count / 3, 2, open), count / 3);

  const Bytes config = read_bytes(data_path("models/llama31/model/config.json"));
  EXPECT_LT(count_valid(config, config.size(), count / 3, 3,
                        [](const Bytes& bytes) {
                          config_from_json(
                              {reinterpret_cast<const char*>(bytes.data()), bytes.size()},
                              "config.json");
                        }),
            count / 3);
}

TEST(Mutation, EveryDamagedHeaderIsAnErrorOrAModel) { open_mutations(300); }

TEST(SlowMutation, TenThousandDamagedHeaders) { open_mutations(10'000); }

}  // namespace
}  // namespace zhiyin
