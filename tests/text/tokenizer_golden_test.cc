// Small tokenizers of every kind against what Hugging Face's tokenizers library gives; made by
// tools/golden/make_tokenizers.py.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "harness/paths.h"
#include "text/spec_json.h"
#include "text/tokenizer_files.h"

namespace zhiyin {
namespace {

using nlohmann::json;
using testing::data_path;

class GoldenTokenizer : public ::testing::TestWithParam<const char*> {};

TEST_P(GoldenTokenizer, EncodesAndDecodesAsTheReference) {
  const std::string name = GetParam();
  const auto tokenizer = make_tokenizer(
      tokenizer_spec_from_json(read_file(data_path("tokenizers/" + name + ".json"))));
  const json cases = json::parse(read_file(data_path("tokenizers/cases.json"))).at(name);
  ASSERT_GE(cases.size(), 30u);
  for (const json& c : cases) {
    const auto text = c.at("text").get<std::string>();
    const auto ids = c.at("ids").get<std::vector<int32_t>>();
    const auto full = c.at("with_special").get<std::vector<int32_t>>();
    // The library always recognises special tokens in the text.
    EXPECT_EQ(tokenizer->encode(text, {.parse_special = true}), ids) << "[" << text << "]";
    EXPECT_EQ(tokenizer->encode(text, {.add_special = true, .parse_special = true}), full)
        << "[" << text << "]";
    EXPECT_EQ(tokenizer->decode(ids, false), c.at("decoded").get<std::string>())
        << "[" << text << "]";
    EXPECT_EQ(tokenizer->decode(full, true), c.at("without_special").get<std::string>())
        << "[" << text << "]";
  }
}

INSTANTIATE_TEST_SUITE_P(All, GoldenTokenizer,
                         ::testing::Values("byte_level", "byte_level_prefix_space", "byte_fallback",
                                           "metaspace_first", "word_end", "wordpiece",
                                           "wordpiece_cased", "unigram", "splits"));

}  // namespace
}  // namespace zhiyin
