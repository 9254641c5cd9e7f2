#include "quant/mix.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <set>

#include "base/file.h"
#include "harness/paths.h"

namespace zhiyin {
namespace {

// Models made for the purpose, through llama.cpp's quantiser, and files that people use.
TEST(Mix, EqualsLlamaCpp) {
  const auto models = nlohmann::json::parse(read_file(testing::data_path("quant/mixes.json")));
  int cases = 0;
  for (const auto& entry : models) {
    std::vector<std::string> names;
    std::vector<MixTensor> tensors;
    for (const auto& tensor : entry["tensors"]) names.push_back(tensor[0]);
    for (const auto& tensor : entry["tensors"]) {
      tensors.push_back({names[tensors.size()], tensor[1], tensor[2]});
    }
    const MixModel model{entry["layers"], entry["heads"], entry["kv_heads"], entry["experts"]};
    for (const auto& [mix, letters] : entry["mixes"].items()) {
      const std::string expected = letters;
      const std::vector<Format> formats = choose_mix(find_mix(mix)->mix, tensors, model);
      ASSERT_EQ(formats.size(), expected.size());
      for (size_t i = 0; i < formats.size(); ++i) {
        EXPECT_STREQ(format_info(formats[i]).name,
                     format_info(static_cast<Format>(expected[i] - 'A')).name)
            << entry["name"] << " " << mix << " " << names[i];
      }
      ++cases;
    }
  }
  EXPECT_GT(cases, 150);
}

TEST(Mix, ImportanceChangesTheFirstLayers) {
  std::vector<MixTensor> tensors = {{"blk.0.ffn_down.weight", 256, 2},
                                    {"blk.1.ffn_down.weight", 256, 2}};
  MixModel model{8, 4, 4};
  using Formats = std::vector<Format>;
  EXPECT_EQ(choose_mix(Mix::kQ4_0, tensors, model), (Formats{Format::kQ4_0, Format::kQ4_0}));
  EXPECT_EQ(choose_mix(Mix::kIQ4_XS, tensors, model), (Formats{Format::kQ5_K, Format::kIQ4_XS}));
  model.has_importance = true;
  EXPECT_EQ(choose_mix(Mix::kQ4_0, tensors, model), (Formats{Format::kQ4_1, Format::kQ4_0}));
  EXPECT_EQ(choose_mix(Mix::kQ5_0, tensors, model), (Formats{Format::kQ5_1, Format::kQ5_0}));
  EXPECT_EQ(choose_mix(Mix::kIQ4_XS, tensors, model), (Formats{Format::kIQ4_XS, Format::kIQ4_XS}));
}

TEST(Mix, TheOrderGivenDoesNotMatter) {
  const std::vector<MixTensor> forward = {{"blk.0.attn_v.weight", 256, 2},
                                          {"blk.2.attn_v.weight", 256, 2},
                                          {"blk.10.attn_v.weight", 256, 2}};
  const std::vector<MixTensor> backward(forward.rbegin(), forward.rend());
  std::vector<Format> formats = choose_mix(Mix::kQ3_K_M, backward, {11, 4, 4});
  std::reverse(formats.begin(), formats.end());
  EXPECT_EQ(formats, (std::vector<Format>{Format::kQ5_K, Format::kQ5_K, Format::kQ4_K}));
  EXPECT_EQ(formats, choose_mix(Mix::kQ3_K_M, forward, {11, 4, 4}));
}

TEST(Mix, AreFoundByNameAndNumber) {
  std::set<uint32_t> numbers;
  for (const MixInfo& info : all_mixes()) {
    EXPECT_EQ(&mix_info(info.mix), &info);
    EXPECT_EQ(find_mix(info.name), &info);
    EXPECT_EQ(find_mix(info.file_type), &info);
    numbers.insert(info.file_type);
  }
  EXPECT_EQ(numbers.size(), kMixCount);
  EXPECT_EQ(find_mix("q4_k_m"), &mix_info(Mix::kQ4_K_M));
  EXPECT_EQ(find_mix("Q4_K_M")->file_type, 15U);
  EXPECT_EQ(find_mix("BF16")->file_type, 32U);
  EXPECT_EQ(find_mix("Q9_Z"), nullptr);
  EXPECT_EQ(find_mix("q4_k"), find_mix("Q4_K_M")) << "as llama.cpp's short names";
  EXPECT_EQ(find_mix("Q6"), nullptr);
  EXPECT_EQ(find_mix("IQ3_M"), nullptr);
  EXPECT_STREQ(mix_instead_of("iq3_m")->name, "Q3_K_M");
  EXPECT_EQ(mix_instead_of("Q4_K_M"), nullptr);
  EXPECT_EQ(find_mix(19u), nullptr);
}

}  // namespace
}  // namespace zhiyin
