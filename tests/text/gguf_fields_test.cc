// Tokenizers into the fields of a GGUF and back: every token and every text must stay the same.
#include "text/gguf_fields.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <sstream>

#include "base/error.h"
#include "harness/paths.h"
#include "text/spec_json.h"
#include "text/tokenizer_files.h"

namespace zhiyin {
namespace {

using ::testing::HasSubstr;
using testing::shared_path;

// Every token's bytes and kind, and the ids of its text.
void expect_alike(const Tokenizer& from, const Tokenizer& to) {
  ASSERT_GE(to.vocab_size(), from.vocab_size());
  for (int32_t id = 0; id < from.vocab_size(); ++id) {
    const std::string_view text = from.token_bytes(id);
    ASSERT_EQ(to.token_bytes(id), text) << id;
    ASSERT_EQ(to.is_special(id), from.is_special(id)) << id << " " << text;
    for (const bool special : {false, true}) {
      const EncodeOptions options{.add_special = special, .parse_special = special};
      ASSERT_EQ(to.encode(text, options), from.encode(text, options)) << id << " " << text;
    }
  }
  const auto ids_of = [](const std::vector<StopToken>& stops) {
    std::vector<int32_t> ids;
    for (const StopToken& stop : stops) ids.push_back(stop.id);
    return ids;
  };
  EXPECT_EQ(ids_of(to.stop_tokens()), ids_of(from.stop_tokens()));
}

std::unique_ptr<Tokenizer> through_gguf(const TokenizerSpec& spec, int64_t vocab_size) {
  const GgufTokenizer gguf = gguf_tokenizer(spec, vocab_size);
  return make_tokenizer(tokenizer_spec_from_gguf(gguf.fields));
}

struct SharedCase {
  const char *folder, *pre;
  int64_t vocab_size;  // of the model, which may have more rows than the tokenizer tokens
};

class SharedToGguf : public ::testing::TestWithParam<SharedCase> {};

TEST_P(SharedToGguf, KeepsEveryTokenAndText) {
  const std::string folder = shared_path(std::string("tokenizers/") + GetParam().folder);
  ZHIYIN_NEEDS(folder);
  const std::string vocabulary = folder + "/vocab.gguf";
  const TokenizerSpec spec =
      *tokenizer_spec_of(open_model_files(file_exists(vocabulary) ? vocabulary : folder, ""));
  const GgufTokenizer gguf = gguf_tokenizer(spec, GetParam().vocab_size);
  EXPECT_EQ(gguf.fields.pre, GetParam().pre);
  EXPECT_EQ(gguf.fields.tokens.size(), static_cast<size_t>(GetParam().vocab_size));
  const auto to = make_tokenizer(tokenizer_spec_from_gguf(gguf.fields));
  const auto from = testing::load_tokenizer_folder(folder);
  expect_alike(*from, *to);
  const std::string texts = read_file(folder + "/texts.inp");
  EXPECT_EQ(to->encode(texts), from->encode(texts));
}

INSTANTIATE_TEST_SUITE_P(All, SharedToGguf,
                         ::testing::Values(SharedCase{"qwen2.5", "qwen2", 151936},
                                           SharedCase{"llama-3", "llama-bpe", 128256},
                                           SharedCase{"gpt-2", "gpt-2", 50257},
                                           SharedCase{"deepseek-llm", "deepseek-llm", 102400}),
                         [](const auto& tested) {
                           std::string name = tested.param.folder;
                           std::erase_if(name, [](char c) { return !isalnum(c); });
                           return name;
                         });

// tokenizer.json holds merges where a GGUF of SentencePiece holds scores. The merges here are made
// from the scores of a real vocabulary, as transformers' converter makes them.
TEST(GgufFields, ScoresOfMergesSplitAsSentencePieceDoes) {
  const std::string folder = shared_path("tokenizers/llama-spm");
  ZHIYIN_NEEDS(folder);
  TokenizerSpec spec = *tokenizer_spec_of(open_model_files(folder + "/vocab.gguf", ""));
  const auto from = make_tokenizer(TokenizerSpec(spec));
  StringIndex index(spec.pieces, spec.pieces.size());
  for (size_t id = 0; id < spec.pieces.size(); ++id) index.insert(static_cast<int32_t>(id));
  struct Merge {
    float score;
    int32_t left, right;
    std::string left_text, right_text;
  };
  std::vector<Merge> merges;
  for (size_t id = 0; id < spec.pieces.size(); ++id) {
    const std::string_view piece = spec.pieces[id];
    if (spec.kinds[id] != TokenKind::kNormal) continue;
    for (size_t cut = 1; cut < piece.size(); ++cut) {
      const int32_t left = index.find(piece.substr(0, cut)), right = index.find(piece.substr(cut));
      if (left < 0 || right < 0) continue;
      merges.push_back({spec.scores[id], left, right, std::string(piece.substr(0, cut)),
                        std::string(piece.substr(cut))});
    }
  }
  std::ranges::sort(merges, [](const Merge& a, const Merge& b) {
    return std::tuple(-a.score, a.left, a.right) < std::tuple(-b.score, b.left, b.right);
  });
  spec.model = TokenizerModel::kBpe;
  spec.byte_fallback = true;
  spec.scores.clear();
  for (const Merge& merge : merges) spec.merges.add(merge.left_text, merge.right_text);
  const auto to = through_gguf(spec, static_cast<int64_t>(spec.pieces.size()));
  expect_alike(*from, *to);
  const std::string texts = read_file(folder + "/texts.inp");
  EXPECT_EQ(to->encode(texts), from->encode(texts));
}

TokenizerSpec golden_spec(const std::string& name) {
  return tokenizer_spec_from_json(read_file(testing::data_path("tokenizers/" + name + ".json")));
}

TEST(GgufFields, ByteFallbackBecomesLlama) {
  const TokenizerSpec spec = golden_spec("byte_fallback");
  const GgufTokenizer gguf = gguf_tokenizer(spec, 800);
  EXPECT_EQ(gguf.fields.model, "llama");
  EXPECT_EQ(gguf.fields.add_space_prefix, true);
  EXPECT_EQ(gguf.fields.tokens[799], "[PAD799]");
  EXPECT_EQ(gguf.fields.token_types[799], 5);
  const auto to = make_tokenizer(tokenizer_spec_from_gguf(gguf.fields));
  expect_alike(*make_tokenizer(golden_spec("byte_fallback")), *to);
}

std::string error_of(const TokenizerSpec& spec, int64_t vocab_size) {
  try {
    gguf_tokenizer(spec, vocab_size);
  } catch (const Error& e) {
    return e.what();
  }
  return "no error";
}

TEST(GgufFields, SaysWhatAGgufCannotHold) {
  EXPECT_THAT(error_of(golden_spec("unigram"), 5000), HasSubstr("only BPE"));
  EXPECT_THAT(error_of(golden_spec("byte_fallback"), 100),
              ::testing::AllOf(HasSubstr("723"), HasSubstr("100")));
  EXPECT_THAT(error_of(golden_spec("splits"), 5000), HasSubstr("neither byte-level nor"));
  TokenizerSpec spaced = golden_spec("byte_level_prefix_space");
  spaced.prefix.clear();
  spaced.suffix.clear();
  EXPECT_THAT(error_of(spaced, 5000), HasSubstr("no GGUF pre-tokenizer"));
  TokenizerSpec twice = golden_spec("byte_fallback");
  twice.prefix = {1, 1};
  EXPECT_THAT(error_of(twice, 5000), HasSubstr("puts 2 tokens before a text"));
}

}  // namespace
}  // namespace zhiyin
