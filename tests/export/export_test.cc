#include <gtest/gtest.h>

#include <cmath>
#include <cstring>

#include "base/error.h"
#include "export/gguf_export.h"
#include "export/modelfile.h"
#include "harness/check_op.h"
#include "harness/paths.h"
#include "io/gguf.h"

namespace zhiyin {
namespace {

constexpr int64_t kWidth = 256;

// A GGUF of one block with random matrices, as far as the writer reads it.
std::string write_base(const testing::TemporaryFolder& folder, Format format) {
  const std::string path = folder / "base.gguf";
  GgufWriter writer(path);
  writer.set("general.architecture", "qwen2");
  writer.set("general.name", "base");
  writer.set("qwen2.block_count", uint32_t{1});
  writer.set("qwen2.context_length", uint32_t{64});
  writer.set("qwen2.embedding_length", static_cast<uint32_t>(kWidth));
  writer.set("qwen2.feed_forward_length", static_cast<uint32_t>(kWidth));
  writer.set("qwen2.attention.head_count", uint32_t{4});
  writer.set("qwen2.attention.head_count_kv", uint32_t{4});
  writer.set("qwen2.attention.layer_norm_rms_epsilon", 1e-6f);
  writer.set("qwen2.vocab_size", uint32_t{32});
  writer.set("tokenizer.chat_template", "old");
  writer.add_tensor("token_embd.weight", format, {32, kWidth});
  writer.add_tensor("blk.0.attn_q.weight", format, {kWidth, kWidth});
  writer.add_tensor("blk.0.attn_norm.weight", Format::kF32, {kWidth});
  writer.start();
  for (const auto& [name, rows, f] :
       {std::tuple{"token_embd.weight", int64_t{32}, format},
        std::tuple{"blk.0.attn_q.weight", kWidth, format},
        std::tuple{"blk.0.attn_norm.weight", int64_t{1}, Format::kF32}}) {
    const std::vector<float> values = testing::random_values(rows * kWidth, 5);
    std::vector<uint8_t> row(static_cast<size_t>(row_bytes(f, kWidth)));
    for (int64_t r = 0; r < rows; ++r) {
      format_info(f).pack(values.data() + r * kWidth, row.data(), kWidth, nullptr);
      writer.write(name, row.data(), row.size());
    }
  }
  writer.finish();
  return path;
}

TEST(GgufExport, MergesTheAdapterAndKeepsTheRest) {
  const testing::TemporaryFolder folder;
  const ModelFiles base = open_model_files(write_base(folder, Format::kF32), "");
  LoraAdapter adapter;
  adapter.rank = 2;
  adapter.alpha = 6;
  LoraFactors& factors = adapter.modules["model.layers.0.self_attn.q_proj"];
  factors = {2, kWidth, kWidth, testing::random_values(2 * kWidth, 1),
             testing::random_values(2 * kWidth, 2)};
  Context context({.threads = 2});
  GgufExport job;
  job.base = &base;
  job.adapter = &adapter;
  job.mix = Mix::kF32;
  job.name = "小满";
  job.chat_template = kChatMlTemplate;
  const GgufExportResult result = write_gguf_model(context, job, folder / "out.gguf");
  EXPECT_EQ(result.copied, 2);
  EXPECT_EQ(result.packed, 1);

  const GgufFile out(folder / "out.gguf");
  EXPECT_EQ(out.metadata().find_string("general.name"), "小满");
  EXPECT_EQ(out.metadata().find_string("tokenizer.chat_template"), kChatMlTemplate);
  EXPECT_EQ(out.metadata().find_u64("general.file_type"), 0u);
  const std::vector<float> before =
      to_floats(*find_tensor(base.tensors, "model.layers.0.self_attn.q_proj.weight"));
  const std::vector<float> after = to_floats(*find_tensor(out.tensors(), "blk.0.attn_q.weight"));
  for (size_t i = 0; i < before.size(); i += 77) {
    const size_t r = i / kWidth, c = i % kWidth;
    const float wanted = before[i] + 3.0f * (factors.b[2 * r] * factors.a[c] +
                                             factors.b[2 * r + 1] * factors.a[kWidth + c]);
    EXPECT_NEAR(after[i], wanted, 1e-5f);
  }
}

TEST(GgufExport, CopiesTensorsThatAreInTheirFormatAlready) {
  const testing::TemporaryFolder folder;
  const ModelFiles base = open_model_files(write_base(folder, Format::kQ8_0), "");
  Context context({.threads = 1});
  GgufExport job;
  job.base = &base;
  job.mix = Mix::kQ8_0;
  const GgufExportResult result = write_gguf_model(context, job, folder / "out.gguf");
  EXPECT_EQ(result.packed, 0);
  const GgufFile out(folder / "out.gguf");
  const TensorEntry* a = find_tensor(base.tensors, "model.embed_tokens.weight");
  const TensorEntry* b = find_tensor(out.tensors(), "token_embd.weight");
  ASSERT_EQ(a->bytes, b->bytes);
  EXPECT_EQ(std::memcmp(a->data, b->data, a->bytes), 0);
}

TEST(GgufExport, NamesALayerThatTheBaseLacks) {
  const testing::TemporaryFolder folder;
  const ModelFiles base = open_model_files(write_base(folder, Format::kF32), "");
  LoraAdapter adapter;
  adapter.modules["model.layers.7.self_attn.q_proj"] = {};
  Context context({.threads = 1});
  GgufExport job;
  job.base = &base;
  job.adapter = &adapter;
  try {
    write_gguf_model(context, job, folder / "out.gguf");
    FAIL() << "no error";
  } catch (const Error& e) {
    EXPECT_NE(std::string(e.what()).find("model.layers.7.self_attn.q_proj"), std::string::npos);
    EXPECT_NE(std::string(e.what()).find("model.layers.0.self_attn.q_proj"), std::string::npos);
  }
  EXPECT_FALSE(std::filesystem::exists(folder / "out.gguf"));
}

TEST(Modelfile, HoldsTemplateSystemAndStops) {
  EXPECT_EQ(std::string(kChatMlTemplate).size(), 196u);  // the text that Ollama knows
  EXPECT_EQ(
      modelfile_text({.gguf = "a.gguf",
                      .chat_template = kChatMlTemplate,
                      .system = "be brief",
                      .stop = {"<|im_end|>"}}),
      "FROM ./a.gguf\n"
      "TEMPLATE \"\"\"{{- range .Messages }}<|im_start|>{{ .Role }}\n{{ .Content }}<|im_end|>\n"
      "{{ end }}<|im_start|>assistant\n\"\"\"\n"
      "SYSTEM \"be brief\"\n"
      "PARAMETER stop \"<|im_end|>\"\n");
}

}  // namespace
}  // namespace zhiyin
