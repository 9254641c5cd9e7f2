// Byte-pair merging against the definition, word by word.
#include <gtest/gtest.h>

#include <map>
#include <random>

#include "base/utf8.h"
#include "harness/paths.h"
#include "text/spec_json.h"
#include "text/tokenizer_files.h"
#include "text/word_model.h"

namespace zhiyin {
namespace {

// Merges as the definition says: of all neighbouring pairs the one of lowest rank, leftmost first.
class NaiveBpe {
 public:
  explicit NaiveBpe(const TokenizerSpec& spec) {
    const auto bytes = [](std::string_view piece) {
      std::string out;
      return append_byte_level(out, piece) ? out : std::string(piece);
    };
    for (size_t i = 0; i < spec.merges.size(); ++i) {
      const std::string_view both = spec.merges.joined[i];
      ranks_.emplace(std::pair(bytes(both.substr(0, spec.merges.left_sizes[i])),
                               bytes(both.substr(spec.merges.left_sizes[i]))),
                     i);
    }
  }
  std::vector<std::string> split(std::string_view word) const {
    std::vector<std::string> parts;
    for (const char c : word) parts.emplace_back(1, c);
    for (;;) {
      size_t best = parts.size(), best_rank = ranks_.size();
      for (size_t i = 0; i + 1 < parts.size(); ++i) {
        const auto found = ranks_.find({parts[i], parts[i + 1]});
        if (found != ranks_.end() && found->second < best_rank) {
          best = i;
          best_rank = found->second;
        }
      }
      if (best == parts.size()) return parts;
      parts[best] += parts[best + 1];
      parts.erase(parts.begin() + static_cast<std::ptrdiff_t>(best) + 1);
    }
  }

 private:
  std::map<std::pair<std::string, std::string>, size_t> ranks_;
};

// Words of many scripts, and of bytes that are no text at all.
std::string random_word(std::mt19937& random) {
  static constexpr std::pair<char32_t, char32_t> kBlocks[] = {
      {0x20, 0x7E},     {0xC0, 0x24F},    {0x410, 0x44F},    {0x600, 0x6FF},   {0x900, 0x97F},
      {0x4E00, 0x5200}, {0x4E00, 0x9FA5}, {0x3000, 0x30FF},  {0xAC00, 0xD7A3}, {0xFF00, 0xFF60},
      {0x7684, 0x7684}, {0x6211, 0x6211}, {0x1F600, 0x1F64F}};
  std::string word;
  const size_t length = random() % 70;
  const auto& narrow = kBlocks[random() % std::size(kBlocks)];
  while (word.size() < length) {
    const auto& block = random() % 4 != 0 ? narrow : kBlocks[random() % std::size(kBlocks)];
    if (random() % 40 == 0) {
      word += static_cast<char>(0x80 + random() % 64);  // stray; some vocabularies lack 0xC0 …
    } else {
      append_utf8(word,
                  block.first + static_cast<char32_t>(random() % (block.second - block.first + 1)));
    }
  }
  return word;
}

void expect_merges_by_the_book(TokenizerSpec spec, int words) {
  ASSERT_TRUE(spec.byte_level);
  spec.pre_tokenizer.clear();  // the whole text is one word
  spec.normalizer.clear();
  spec.added.clear();
  spec.ignore_merges = false;
  const NaiveBpe naive(spec);
  const auto tokenizer = make_tokenizer(std::move(spec));
  std::mt19937 random(7);
  for (int i = 0; i < words; ++i) {
    const std::string word = random_word(random);
    std::vector<std::string> parts;
    for (const int32_t id : tokenizer->encode(word)) {
      parts.emplace_back(tokenizer->token_bytes(id));
    }
    ASSERT_EQ(parts, naive.split(word)) << "word " << i << ": " << word;
  }
}

TEST(Bpe, SmallVocabularyMergesByTheBook) {
  expect_merges_by_the_book(
      tokenizer_spec_from_json(read_file(testing::data_path("tokenizers/byte_level.json"))), 3000);
}

TEST(Bpe, SharedQwenMergesByTheBook) {
  const std::string folder = testing::shared_path("tokenizers/qwen2.5/");
  ZHIYIN_NEEDS(folder);
  expect_merges_by_the_book(
      tokenizer_spec_from_merges(read_file(folder + "vocab.json"), read_file(folder + "merges.txt"),
                                 read_file(folder + "tokenizer_config.json")),
      3000);
}

TEST(Bpe, SharedLlama3MergesByTheBook) {
  const std::string folder = testing::shared_path("tokenizers/llama-3/");
  ZHIYIN_NEEDS(folder);
  expect_merges_by_the_book(tokenizer_spec_from_json(read_file(folder + "tokenizer.json")), 1500);
}

TEST(Bpe, SharedDeepSeekMergesByTheBook) {
  const std::string path = testing::shared_path("tokenizers/deepseek-llm/vocab.gguf");
  ZHIYIN_NEEDS(path);
  const GgufFile file(path);
  expect_merges_by_the_book(gguf_tokenizer_spec(file.metadata()), 1500);
}

}  // namespace
}  // namespace zhiyin
