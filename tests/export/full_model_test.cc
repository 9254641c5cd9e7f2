// A model whose weights were trained, written in the kind of its base; and a base packed on load.
#include "export/full_model.h"

#include <gtest/gtest.h>

#include <cstring>

#include "base/error.h"
#include "base/file.h"
#include "export/gguf_export.h"
#include "export/hf_export.h"
#include "harness/paths.h"
#include "io/load_weights.h"
#include "models/family.h"

namespace zhiyin {
namespace {

// Values that no base has, one tensor each.
std::map<std::string, std::vector<float>> new_values(const ModelFiles& base) {
  std::map<std::string, std::vector<float>> values;
  for (const TensorEntry& tensor : base.tensors) {
    std::vector<float>& v = values[tensor.name];
    for (int64_t i = 0; i < tensor.element_count(); ++i) {
      v.push_back(static_cast<float>((i * 7 + static_cast<int64_t>(tensor.name.size())) % 31) / 8);
    }
  }
  return values;
}

TensorValues views(const std::map<std::string, std::vector<float>>& values) {
  TensorValues all;
  for (const auto& [name, v] : values) all[name] = v;
  return all;
}

TEST(FullModel, IsReadBackAsItWasTrained) {
  for (const char* name : {"qwen2", "qwen2_tied", "llama"}) {
    for (const bool gguf : {false, true}) {
      const testing::TemporaryFolder folder;
      Context context({.threads = 1});
      ModelFiles base =
          open_model_files(testing::data_path(std::string("models/") + name) + "/model", "");
      if (gguf) {
        // The base as a GGUF, in which llama's rows stand in pairs.
        GgufExport job;
        job.base = &base;
        job.mix = Mix::kF32;
        write_gguf_model(context, job, folder / "base.gguf");
        base = open_model_files(folder / "base.gguf", "");
      }
      const auto values = new_values(base);
      for (int twice = 0; twice < 2; ++twice) {
        write_full_model(context, base, views(values), "template", folder / "run");
      }
      const ModelFiles tuned = open_model_files(folder / "run", "");
      EXPECT_EQ(tuned.gguf.has_value(), gguf);
      ASSERT_EQ(tuned.chat_templates.size(), 1u);
      EXPECT_EQ(tuned.chat_templates[0].text, "template");
      for (const TensorEntry& tensor : tuned.tensors) {
        EXPECT_EQ(to_floats(tensor), values.at(tensor.name)) << name << ": " << tensor.name;
      }
      std::vector<std::string> unused;
      make_causal_lm(*tuned.config, load_weights(context, tuned), &unused);
      EXPECT_TRUE(unused.empty());
    }
  }
}

TEST(FullModel, ValuesOfAnotherSizeAreRefused) {
  const testing::TemporaryFolder folder;
  Context context({.threads = 1});
  const ModelFiles base = open_model_files(testing::data_path("models/qwen2/model"), "");
  auto values = new_values(base);
  values.at("model.norm.weight").pop_back();
  EXPECT_THROW(write_full_model(context, base, views(values), "", folder.path()), Error);
}

TEST(PackedOnLoad, HasTheBytesOfTheQuantisedFile) {
  const testing::TemporaryFolder folder;
  Context context({.threads = 2});
  const ModelFiles base = open_model_files(testing::data_path("models/qwen2/model"), "");
  for (const Mix mix : {Mix::kQ4_K_M, Mix::kQ8_0}) {
    GgufExport job;
    job.base = &base;
    job.mix = mix;
    write_gguf_model(context, job, folder / "q.gguf");
    const ModelFiles file = open_model_files(folder / "q.gguf", "");
    const Weights packed = load_packed_weights(context, base, mix);
    int compared = 0;
    for (const TensorEntry& tensor : file.tensors) {
      if (tensor.shape.size() != 2) continue;
      const Weight weight = packed.matrix(tensor.name, 0, 0).weight();
      ASSERT_EQ(weight.format(), *tensor.format) << tensor.name;
      EXPECT_EQ(std::memcmp(weight.row(0), tensor.data, tensor.bytes), 0) << tensor.name;
      ++compared;
    }
    EXPECT_EQ(compared, 16);
  }
}

}  // namespace
}  // namespace zhiyin
