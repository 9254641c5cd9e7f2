#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/file.h"
#include "export/gguf_export.h"
#include "export/go_template.h"
#include "export/hf_export.h"
#include "export/model_card.h"
#include "export/modelfile.h"
#include "export/output_rounding.h"
#include "harness/check_op.h"
#include "harness/paths.h"
#include "io/gguf.h"
#include "io/load_weights.h"
#include "io/lora_file.h"
#include "models/family.h"
#include "nn/attach_adapter.h"

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

// The logits of a model for a few ids, in f32.
std::vector<float> logits_of(const std::string& path) {
  Context context({.threads = 2, .precision = Precision::kExact});
  const ModelFiles files = open_model_files(path, "");
  std::vector<std::string> unused;
  const auto model = make_causal_lm(*files.config, load_weights(context, files), &unused);
  EXPECT_TRUE(unused.empty()) << unused.front();
  const std::vector<int32_t> ids = {1, 7, 3, 60, 2, 9, 9, 4};
  Batch batch;
  batch.add(ids);
  return model->logits(model->forward(batch, {})).to_vector();
}

class FolderToGguf : public ::testing::TestWithParam<const char*> {};

// Names, the order of rows in q and k, rope scaling, tied heads: the GGUF must compute the same.
TEST_P(FolderToGguf, ComputesTheSame) {
  const testing::TemporaryFolder folder;
  const std::string from = testing::data_path(std::string("models/") + GetParam() + "/model");
  const ModelFiles base = open_model_files(from, "");
  Context context({.threads = 2});
  GgufExport job;
  job.base = &base;
  job.mix = Mix::kF32;
  job.name = "tiny";
  write_gguf_model(context, job, folder / "out.gguf");
  const std::vector<float> wanted = logits_of(from), got = logits_of(folder / "out.gguf");
  ASSERT_EQ(wanted.size(), got.size());
  for (size_t i = 0; i < wanted.size(); ++i) ASSERT_NEAR(wanted[i], got[i], 1e-4f) << i;

  const GgufFile out(folder / "out.gguf");
  EXPECT_EQ(out.metadata().find_string("general.name"), "tiny");
  EXPECT_EQ(out.metadata().find_string("general.type"), "model");
}

INSTANTIATE_TEST_SUITE_P(All, FolderToGguf,
                         ::testing::Values("llama", "llama31", "llama_yarn", "qwen2", "qwen2_tied"),
                         [](const auto& tested) { return std::string(tested.param); });

TEST(GgufExport, PreviewTellsWhatIsWritten) {
  const testing::TemporaryFolder folder;
  const ModelFiles base = open_model_files(write_base(folder, Format::kF32), "");
  Context context({.threads = 2});
  GgufExport job;
  job.base = &base;
  job.mix = Mix::kQ4_K_M;
  const std::vector<TensorPreview> preview = preview_gguf_model(context, job);
  EXPECT_FALSE(std::filesystem::exists(folder / "out.gguf"));
  const GgufExportResult written = write_gguf_model(context, job, folder / "out.gguf");
  const GgufFile out(folder / "out.gguf");
  ASSERT_EQ(preview.size(), out.tensors().size());
  int64_t bytes = 0;
  for (size_t i = 0; i < preview.size(); ++i) {
    const TensorEntry& after = out.tensors()[i];
    EXPECT_EQ(preview[i].name, after.name);
    EXPECT_EQ(preview[i].to, after.required_format());
    EXPECT_EQ(preview[i].bytes, static_cast<int64_t>(after.bytes));
    bytes += preview[i].bytes;
    const std::vector<float> a = to_floats(base.tensors[i]), b = to_floats(after);
    double errors = 0, squares = 0;
    for (size_t k = 0; k < a.size(); ++k) {
      const double difference = static_cast<double>(a[k]) - static_cast<double>(b[k]);
      errors += difference * difference;
      squares += static_cast<double>(a[k]) * static_cast<double>(a[k]);
    }
    EXPECT_NEAR(preview[i].errors, errors, 1e-6 * (1 + errors)) << after.name;
    if (errors > 0) {
      EXPECT_NEAR(preview[i].squares, squares, 1e-6 * squares) << after.name;
    }
  }
  EXPECT_EQ(bytes, written.bytes);
}

// Columns that matter more must come out closer than without the matrix.
TEST(GgufExport, ImportanceGuidesTheQuantisers) {
  const testing::TemporaryFolder folder;
  const ModelFiles base = open_model_files(write_base(folder, Format::kF32), "");
  Context context({.threads = 2});
  Importance importance;
  std::vector<float>& weights = importance["blk.0.attn_q.weight"];
  weights.assign(kWidth, 1e-3f);
  for (size_t i = 0; i < kWidth; i += 8) weights[i] = 100;
  const auto error_with = [&](const Importance* matrix) {
    GgufExport job;
    job.base = &base;
    job.mix = Mix::kQ4_K_M;
    job.importance = matrix;
    const auto result = write_gguf_model(context, job, folder / "out.gguf");
    if (matrix != nullptr) {
      EXPECT_EQ(result.without_importance, std::vector<std::string>{"token_embd.weight"});
    }
    const GgufFile out(folder / "out.gguf");
    const auto before =
        to_floats(*find_tensor(base.tensors, "model.layers.0.self_attn.q_proj.weight"));
    const auto after = to_floats(*find_tensor(out.tensors(), "blk.0.attn_q.weight"));
    double error = 0;
    for (size_t i = 0; i < before.size(); i += 8) {
      error += std::pow(static_cast<double>(before[i]) - static_cast<double>(after[i]), 2);
    }
    return error;
  };
  EXPECT_LT(error_with(&importance), 0.7 * error_with(nullptr));

  weights.pop_back();
  GgufExport job;
  job.base = &base;
  job.importance = &importance;
  try {
    write_gguf_model(context, job, folder / "wrong.gguf");
    FAIL() << "no error";
  } catch (const Error& e) {
    EXPECT_NE(std::string(e.what()).find("blk.0.attn_q.weight has 255"), std::string::npos);
  }
}

TEST(Modelfile, HoldsTemplateSystemAndStops) {
  EXPECT_EQ(std::string(kChatMlTemplate).size(), 196u);  // the text that Ollama knows
  const std::string text = modelfile_text({.gguf = "a.gguf",
                                           .go_template = kChatMlGoTemplate,
                                           .system = "be brief",
                                           .stop = {"<|im_end|>"}});
  EXPECT_EQ(text,
            "FROM ./a.gguf\n"
            "TEMPLATE \"\"\"{{- range .Messages }}<|im_start|>{{ .Role }}\n"
            "{{ .Content }}<|im_end|>\n{{ end }}<|im_start|>assistant\n\"\"\"\n"
            "SYSTEM \"be brief\"\n"
            "PARAMETER stop \"<|im_end|>\"\n");
  EXPECT_EQ(modelfile_template(text), kChatMlGoTemplate);
  EXPECT_EQ(modelfile_template(modelfile_text({"a.gguf", "", "", {}})), std::nullopt);
}

// An adapter's push is smaller than a step of the base's format: weight by weight it is rounded
// away, by what the layer says it stays. The inputs judged by are not those rounded by.
TEST(OutputRounding, KeepsAPushSmallerThanAStep) {
  constexpr int64_t kIn = 256, kOut = 8, kTokens = 192;
  Context context({.threads = 2});
  // Inputs with a few strong directions, as hidden states have.
  const std::vector<float> directions = testing::random_values(12 * kIn, 1);
  const auto inputs_of = [&](uint32_t seed) {
    std::vector<float> x = testing::random_values(kTokens * kIn, seed);
    const std::vector<float> mix = testing::random_values(kTokens * 12, seed + 1);
    for (size_t t = 0; t < kTokens; ++t) {
      for (size_t i = 0; i < kIn; ++i) {
        x[t * kIn + i] *= 0.2f;
        for (size_t d = 0; d < 12; ++d) x[t * kIn + i] += mix[t * 12 + d] * directions[d * kIn + i];
      }
    }
    return x;
  };
  const std::vector<float> seen = inputs_of(10), fresh = inputs_of(20);
  const Tensor inputs = Tensor::from(context, {kTokens, kIn}, seen);
  const OutputRounding rounding(context, {inputs, inputs, {}});
  for (const Format format :
       {Format::kQ4_0, Format::kQ5_0, Format::kQ8_0, Format::kQ4_K, Format::kQ5_K, Format::kQ6_K}) {
    const FormatInfo& info = format_info(format);
    SCOPED_TRACE(info.name);
    const int64_t bytes = row_bytes(format, kIn);
    const std::vector<float> weights = testing::random_values(kOut * kIn, 3);
    const std::vector<float> push = testing::random_values(kOut * kIn, 4);
    std::vector<uint8_t> base(static_cast<size_t>(kOut * bytes));
    std::vector<float> wanted(kOut * kIn), back(kOut * kIn);
    for (int64_t r = 0; r < kOut; ++r) {
      info.pack(weights.data() + r * kIn, base.data() + r * bytes, kIn, nullptr);
      info.unpack(base.data() + r * bytes, wanted.data() + r * kIn, kIn);
    }
    // An eighth of a step; the bound is half a step where the format has no odd end.
    const float size = info.error_bound / (format == Format::kQ8_0 ? 4 : 8);
    for (size_t i = 0; i < wanted.size(); ++i) wanted[i] += size * push[i];
    const auto error_of_outputs = [&](const std::vector<uint8_t>& packed) {
      double sum = 0;
      for (int64_t r = 0; r < kOut; ++r) {
        info.unpack(packed.data() + r * bytes, back.data() + r * kIn, kIn);
        for (int64_t t = 0; t < kTokens; ++t) {
          double difference = 0;
          for (int64_t i = 0; i < kIn; ++i) {
            difference += static_cast<double>(back[static_cast<size_t>(r * kIn + i)] -
                                              wanted[static_cast<size_t>(r * kIn + i)]) *
                          static_cast<double>(fresh[static_cast<size_t>(t * kIn + i)]);
          }
          sum += difference * difference;
        }
      }
      return sum;
    };
    std::vector<uint8_t> plain = base, refined = base;
    for (int64_t r = 0; r < kOut; ++r) {
      info.pack(wanted.data() + r * kIn, plain.data() + r * bytes, kIn, nullptr);
    }
    rounding.refine(format, refined.data(), wanted.data(), 0, kOut);
    EXPECT_LT(error_of_outputs(refined), 0.3 * error_of_outputs(plain));
    EXPECT_LT(error_of_outputs(refined), 0.3 * error_of_outputs(base));
  }
}

// The exported model's inputs differ from the tuned one's, and its hidden states lack something:
// rounding the matrix that the tuned model has, the layer makes up for both.
TEST(OutputRounding, MakesUpForWhatWasLostBefore) {
  constexpr int64_t kIn = 160, kOut = 6, kTokens = 400;
  Context context({.threads = 2});
  const auto values = [](int64_t n, uint64_t seed, float size) {
    std::vector<float> all = testing::random_values(n, seed);
    for (float& value : all) value *= size;
    return all;
  };
  const std::vector<float> exported = values(kTokens * kIn, 1, 1);
  // Both losses follow from what the layer sees, as they do in part in a model.
  const std::vector<float> mix = values(kIn * kIn, 2, 0.01f), lost = values(kOut * kIn, 3, 0.05f);
  std::vector<float> tuned = exported, owed(kTokens * kOut);
  for (size_t t = 0; t < kTokens; ++t) {
    const float* x = exported.data() + t * kIn;
    for (size_t k = 0; k < kIn; ++k) {
      for (size_t i = 0; i < kIn; ++i) tuned[t * kIn + i] += x[k] * mix[k * kIn + i];
      for (size_t o = 0; o < kOut; ++o) owed[t * kOut + o] += x[k] * lost[o * kIn + k];
    }
  }
  const Tensor x = Tensor::from(context, {kTokens, kIn}, exported);
  const Tensor x_tuned = Tensor::from(context, {kTokens, kIn}, tuned);
  const Tensor x_owed = Tensor::from(context, {kTokens, kOut}, owed);

  const FormatInfo& info = format_info(Format::kQ8_0);
  const int64_t bytes = row_bytes(info.format, kIn);
  const std::vector<float> wanted = testing::random_values(kOut * kIn, 4);
  const auto error = [&](const LayerView& view) {
    std::vector<uint8_t> packed(static_cast<size_t>(kOut * bytes));
    for (int64_t r = 0; r < kOut; ++r) {
      info.pack(wanted.data() + r * kIn, packed.data() + r * bytes, kIn, nullptr);
    }
    // In two parts: the rows that are owed something are found by their number.
    const OutputRounding rounding(context, view);
    rounding.refine(info.format, packed.data(), wanted.data(), 0, 2);
    rounding.refine(info.format, packed.data() + 2 * bytes, wanted.data() + 2 * kIn, 2, kOut - 2);
    std::vector<float> back(kIn);
    double sum = 0;
    for (size_t o = 0; o < kOut; ++o) {
      info.unpack(packed.data() + static_cast<int64_t>(o) * bytes, back.data(), kIn);
      for (size_t t = 0; t < kTokens; ++t) {
        double difference = -static_cast<double>(owed[t * kOut + o]);
        for (size_t i = 0; i < kIn; ++i) {
          difference += static_cast<double>(back[i] * exported[t * kIn + i]) -
                        static_cast<double>(wanted[o * kIn + i] * tuned[t * kIn + i]);
        }
        sum += difference * difference;
      }
    }
    return sum;
  };
  const double neither = error({x, x, {}});
  EXPECT_LT(error({x_tuned, x, {}}), 0.9 * neither);
  EXPECT_LT(error({x, x, x_owed}), 0.9 * neither);
  EXPECT_LT(error({x_tuned, x, x_owed}), 0.05 * neither);
}

// What another program would find in an exported folder.
nlohmann::json json_in(const testing::TemporaryFolder& folder, const char* name) {
  return nlohmann::json::parse(read_file(folder / name));
}

class GgufToFolder : public ::testing::TestWithParam<const char*> {};

// Through a GGUF and back: the order of rows, rope scaling and names must survive both ways.
TEST_P(GgufToFolder, ComputesTheSame) {
  const testing::TemporaryFolder folder;
  const std::string from = testing::data_path(std::string("models/") + GetParam() + "/model");
  const ModelFiles base = open_model_files(from, "");
  Context context({.threads = 2});
  GgufExport to_gguf;
  to_gguf.base = &base;
  to_gguf.mix = Mix::kF32;
  write_gguf_model(context, to_gguf, folder / "m.gguf");
  const ModelFiles gguf = open_model_files(folder / "m.gguf", "");
  HfExport to_folder;
  to_folder.base = &gguf;
  to_folder.format = Format::kF32;
  write_hf_model(context, to_folder, folder / "out");
  const std::vector<float> wanted = logits_of(from), got = logits_of(folder / "out");
  ASSERT_EQ(wanted.size(), got.size());
  for (size_t i = 0; i < wanted.size(); ++i) ASSERT_NEAR(wanted[i], got[i], 1e-4f) << i;
}

INSTANTIATE_TEST_SUITE_P(All, GgufToFolder,
                         ::testing::Values("llama", "llama31", "llama_yarn", "qwen2", "qwen2_tied"),
                         [](const auto& tested) { return std::string(tested.param); });

TEST(HfExport, ShardsAboveASizeAndMergesTheAdapter) {
  const testing::TemporaryFolder folder;
  const std::string from = testing::data_path("lora/base");
  const ModelFiles base = open_model_files(from, "");
  const LoraAdapter adapter = read_lora_adapter(testing::data_path("lora/adapter_final"));
  Context context({.threads = 2});
  HfExport job;
  job.base = &base;
  job.adapter = &adapter;
  job.chat_template = "the template of training";
  job.end_of_answer = 7;
  job.shard_bytes = 64 << 10;
  const HfExportResult result = write_hf_model(context, job, folder / "out");
  EXPECT_GT(result.shards, 2);
  EXPECT_EQ(result.converted, static_cast<int64_t>(adapter.modules.size()));
  const auto index = json_in(folder, "out/model.safetensors.index.json");
  EXPECT_EQ(index["metadata"]["total_size"], result.bytes);
  EXPECT_EQ(read_file(folder / "out/chat_template.jinja"), "the template of training");
  const auto eos = json_in(folder, "out/generation_config.json")["eos_token_id"];
  EXPECT_EQ(eos.is_array() ? eos[0] : eos, 7);

  // The same logits as the base with the adapter beside it.
  Context exact({.threads = 2, .precision = Precision::kExact});
  const ModelFiles merged = open_model_files(folder / "out", "");
  const std::vector<int32_t> ids = {1, 5, 9, 3, 2};
  const auto run = [&](const ModelFiles& files, bool with_adapter) {
    const auto model = make_causal_lm(*files.config, load_weights(exact, files));
    if (with_adapter) attach_adapter(exact, adapter, model->linears(), "adapter");
    Batch batch;
    batch.add(ids);
    return model->logits(model->forward(batch, {})).to_vector();
  };
  const std::vector<float> wanted = run(base, true), got = run(merged, false);
  for (size_t i = 0; i < wanted.size(); ++i) ASSERT_NEAR(wanted[i], got[i], 2e-4f) << i;

  // A second time into the same folder nothing is overwritten.
  EXPECT_THROW(write_hf_model(context, job, folder / "out"), Error);
}

TEST(GoTemplate, RunsWhatOllamaRuns) {
  const std::vector<ChatTurn> turns = {
      {"system", "S"}, {"user", "a"}, {"user", "b"}, {"assistant", "c"}, {"user", "d"}};
  EXPECT_EQ(render_go_template(kChatMlGoTemplate, turns),
            "<|im_start|>system\nS<|im_end|>\n<|im_start|>user\na\n\nb<|im_end|>\n"
            "<|im_start|>assistant\nc<|im_end|>\n<|im_start|>user\nd<|im_end|>\n"
            "<|im_start|>assistant\n");
  EXPECT_EQ(
      render_go_template("x  {{- if .System }}[{{ .System }}]{{ else }}none{{ end -}}  y", turns),
      "x[S]y");
  EXPECT_EQ(render_go_template("{{ if and .System (ne (len .Messages) 4) }}1{{ else if eq (index "
                               ".Messages 0).Role \"user\" \"system\" }}2{{ end }}",
                               turns),
            "2");
  EXPECT_THROW(render_go_template("{{ if .System }}", turns), Error);
  EXPECT_THROW(render_go_template("{{ range .Tools }}{{ end }}", turns), Error);
  EXPECT_THROW(render_go_template("{{ toTypeScriptType .System }}", turns), Error);
}

// Templates in the manner of three families, as functions.
TEST(GoTemplate, IsDerivedFromHowATemplateSurroundsTexts) {
  const RenderTurns qwen = [](const std::vector<ChatTurn>& turns, bool prompt) {
    std::string text;
    if (turns[0].role != "system") text = "<s>system\nI am Qwen<e>\n";
    for (const ChatTurn& turn : turns) text += "<s>" + turn.role + "\n" + turn.content + "<e>\n";
    return std::optional(text + (prompt ? "<s>assistant\n" : ""));
  };
  const RenderTurns llama2 = [](const std::vector<ChatTurn>& turns,
                                bool) -> std::optional<std::string> {
    if (turns[0].role == "system") return std::nullopt;  // refuses
    std::string text = "<bos>";
    for (const ChatTurn& turn : turns) {
      text += turn.role == "user" ? "[INST] " + turn.content + " [/INST]" : turn.content + "</s>";
    }
    return text;
  };
  const std::vector<ChatTurn> talk = {{"user", "你"}, {"assistant", "x"}, {"user", "z"}};
  const std::vector<ChatTurn> with_system = {{"system", "q"}, {"user", "你"}};
  const auto go = derive_go_template(qwen, "");
  ASSERT_TRUE(go.has_value());
  EXPECT_EQ(render_go_template(*go, talk), qwen(talk, true));
  EXPECT_EQ(render_go_template(*go, with_system), qwen(with_system, true));
  const auto go2 = derive_go_template(llama2, "<bos>");
  ASSERT_TRUE(go2.has_value());
  EXPECT_EQ("<bos>" + render_go_template(*go2, talk), llama2(talk, true));

  // One that counts messages surrounds nothing in a fixed way.
  const RenderTurns counting = [](const std::vector<ChatTurn>& turns, bool) {
    std::string text;
    for (size_t i = 0; i < turns.size(); ++i) {
      text += std::to_string(turns.size() - i) + turns[i].content;
    }
    return std::optional(text);
  };
  EXPECT_EQ(derive_go_template(counting, ""), std::nullopt);
}

TEST(ModelCard, SaysThatItIsAnImitation) {
  const std::string text = model_card_text({.name = "小满",
                                            .base = "qwen",
                                            .chat_template = "x",
                                            .files = {{"a.gguf", "Q4_K_M", "1 MB", "", "3 of 3"}}});
  EXPECT_NE(text.find("This is an AI imitation. It is not a person."), std::string::npos);
  EXPECT_NE(text.find("这是 AI 模仿，不是真人。"), std::string::npos);
  EXPECT_NE(text.find("| a.gguf | Q4_K_M | 1 MB | not measured | 3 of 3 |"), std::string::npos);
}

}  // namespace
}  // namespace zhiyin
