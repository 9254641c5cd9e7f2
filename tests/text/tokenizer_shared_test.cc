// Real vocabularies against the ids that the reference implementations give.
#include <gtest/gtest.h>

#include <sstream>

#include "harness/paths.h"
#include "text/tokenizer_files.h"

namespace zhiyin {
namespace {

using testing::shared_path;

std::vector<std::string> read_texts(const std::string& path) {
  const std::string all = read_file(path);
  const std::string separator = "\n__ggml_vocab_test__\n";
  std::vector<std::string> texts;
  size_t at = 0;
  for (size_t end = 0; (end = all.find(separator, at)) != std::string::npos;
       at = end + separator.size()) {
    texts.push_back(all.substr(at, end - at));
  }
  return texts;
}

std::vector<std::vector<int32_t>> read_ids(const std::string& path) {
  std::istringstream lines(read_file(path));
  std::vector<std::vector<int32_t>> all;
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line);
    all.emplace_back();
    for (int32_t id = 0; words >> id;) all.back().push_back(id);
  }
  return all;
}

class SharedTokenizer : public ::testing::TestWithParam<const char*> {};

TEST_P(SharedTokenizer, GivesTheReferenceIds) {
  const std::string folder = shared_path(std::string("tokenizers/") + GetParam());
  ZHIYIN_NEEDS(folder);
  const auto tokenizer = testing::load_tokenizer_folder(folder);
  const auto texts = read_texts(folder + "/texts.inp");
  const auto ids = read_ids(folder + "/ids.out");
  ASSERT_GE(texts.size(), 40u);
  ASSERT_EQ(texts.size(), ids.size());
  for (size_t i = 0; i < texts.size(); ++i) {
    EXPECT_EQ(tokenizer->encode(texts[i]), ids[i]) << "text " << i << ": [" << texts[i] << "]";
  }
}

TEST_P(SharedTokenizer, DecodesWhatItEncoded) {
  const std::string name = GetParam();
  const std::string folder = shared_path("tokenizers/" + name);
  ZHIYIN_NEEDS(folder);
  if (name.starts_with("bert") || name == "gpt-1") GTEST_SKIP() << "loses case and spaces";
  const auto tokenizer = testing::load_tokenizer_folder(folder);
  for (const std::string& text : read_texts(folder + "/texts.inp")) {
    const auto ids = tokenizer->encode(text);
    EXPECT_EQ(tokenizer->decode(ids), text);
    StreamDecoder stream(*tokenizer, {.at_text_start = true});
    std::string streamed;
    for (const int32_t id : ids) streamed += stream.add(id);
    EXPECT_EQ(streamed + stream.flush(), text);
  }
}

INSTANTIATE_TEST_SUITE_P(All, SharedTokenizer,
                         ::testing::Values("qwen2.5", "llama-3", "llama-spm", "gpt-2", "gpt-1",
                                           "deepseek-llm", "bert-bge", "bert-base-chinese"),
                         [](const auto& tested) {
                           std::string name = tested.param;
                           std::replace_if(
                               name.begin(), name.end(), [](char c) { return !isalnum(c); }, '_');
                           return name;
                         });

}  // namespace
}  // namespace zhiyin
