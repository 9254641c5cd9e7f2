// Special tokens, streaming, hostile text, and the ways in which a vocabulary can be wrong.
#include "text/tokenizer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <thread>

#include "base/utf8.h"
#include "harness/paths.h"
#include "text/spec_gguf.h"
#include "text/spec_json.h"
#include "text/tokenizer_files.h"

namespace zhiyin {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::unique_ptr<Tokenizer> golden(const std::string& name, std::string_view config = {}) {
  return make_tokenizer(tokenizer_spec_from_json(
      read_file(testing::data_path("tokenizers/" + name + ".json")), config));
}

// A byte-level vocabulary in GGUF's fields: all bytes, two merges, and tokens of each kind.
struct SmallGguf {
  SmallGguf() {
    for (int byte = 0; byte < 256; ++byte) {
      const bool printable = (byte >= 0x21 && byte <= 0x7E) || (byte >= 0xA1 && byte != 0xAD);
      std::string piece;
      append_utf8(piece, printable ? static_cast<char32_t>(byte) : next_++);
      pieces.push_back(piece);
    }
    for (const char* piece :
         {"he", "Ġhe", "<|im_start|>", "<|im_end|>", "<|endoftext|>", "<tool>"}) {
      pieces.emplace_back(piece);
    }
    types.assign(pieces.size(), 1);
    types[258] = types[259] = types[260] = 3;
    types[261] = 4;
  }
  GgufTokenizerFields fields() const {
    GgufTokenizerFields out;
    out.model = "gpt2";
    out.pre = "qwen2";
    out.tokens.assign(pieces.begin(), pieces.end());
    out.token_types = types;
    out.merges.assign(merges.begin(), merges.end());
    out.eos = 260;
    out.bos = 260;
    return out;
  }
  std::vector<std::string> pieces;
  std::vector<std::string> merges = {"h e", "Ġ he"};
  std::vector<int64_t> types;

 private:
  char32_t next_ = 0x100;
};

std::string error_of(const GgufTokenizerFields& fields) {
  try {
    make_tokenizer(tokenizer_spec_from_gguf(fields));
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

TEST(Tokenizer, RecognisesControlTokensOnlyWhenAsked) {
  const SmallGguf gguf;
  const auto tokenizer = make_tokenizer(tokenizer_spec_from_gguf(gguf.fields()));
  EXPECT_THAT(tokenizer->encode("<|im_start|>he<|im_end|>", {.parse_special = true}),
              ElementsAre(258, 256, 259));
  EXPECT_EQ(tokenizer->encode("<|im_end|>").size(), 10u);
  EXPECT_THAT(tokenizer->encode(" he<tool>he"),
              ElementsAre(257, 261, 256));  // user-defined: always
  EXPECT_EQ(tokenizer->kind(258), TokenKind::kControl);
  EXPECT_TRUE(tokenizer->is_special(258));
  EXPECT_FALSE(tokenizer->is_special(261));
}

TEST(Tokenizer, DecodeLeavesOutSpecialTokensWhenAsked) {
  const auto tokenizer = make_tokenizer(tokenizer_spec_from_gguf(SmallGguf().fields()));
  const std::vector<int32_t> ids = {258, 256, 261, 259};
  EXPECT_EQ(tokenizer->decode(ids, true), "he<tool>");
  EXPECT_EQ(tokenizer->decode(ids, false), "<|im_start|>he<tool><|im_end|>");
  EXPECT_EQ(tokenizer->token_bytes(257), " he");
  EXPECT_EQ(tokenizer->token_bytes(99999), "");
  EXPECT_EQ(tokenizer->token_bytes(-1), "");
}

TEST(Tokenizer, FindsByText) {
  const auto tokenizer = make_tokenizer(tokenizer_spec_from_gguf(SmallGguf().fields()));
  EXPECT_EQ(tokenizer->find("<|im_start|>"), 258);
  EXPECT_EQ(tokenizer->find(" he"), 257);
  EXPECT_EQ(tokenizer->find("nowhere"), std::nullopt);
}

TEST(Tokenizer, EveryStopTokenHasAnOrigin) {
  const auto tokenizer = make_tokenizer(tokenizer_spec_from_gguf(SmallGguf().fields()));
  EXPECT_THAT(tokenizer->stop_tokens(), ElementsAre(StopToken{259, "its text <|im_end|>"},
                                                    StopToken{260, "tokenizer.ggml.eos_token_id"}));
  EXPECT_EQ(tokenizer->special().eot, 259);
}

TEST(Tokenizer, TokensThatEndTurnsAreControlWhateverTheFileSays) {
  SmallGguf gguf;
  gguf.types[259] = 1;
  const auto tokenizer = make_tokenizer(tokenizer_spec_from_gguf(gguf.fields()));
  EXPECT_EQ(tokenizer->kind(259), TokenKind::kControl);
  EXPECT_THAT(tokenizer->encode("<|im_end|>", {.parse_special = true}), ElementsAre(259));
}

TEST(Tokenizer, TheTagForStruckTextEndsNothing) {
  SmallGguf gguf;
  gguf.pieces[261] = "</s>";
  gguf.types[261] = 1;
  const auto tokenizer = make_tokenizer(tokenizer_spec_from_gguf(gguf.fields()));
  EXPECT_EQ(tokenizer->stop_tokens().size(), 2u);
  gguf.types[261] = 3;
  EXPECT_EQ(make_tokenizer(tokenizer_spec_from_gguf(gguf.fields()))->stop_tokens().size(), 3u);
}

TEST(Tokenizer, AddsBosAsTheFileSays) {
  SmallGguf gguf;
  GgufTokenizerFields fields = gguf.fields();
  EXPECT_THAT(make_tokenizer(tokenizer_spec_from_gguf(fields))->prefix(), ElementsAre());
  fields.add_bos = true;
  const auto tokenizer = make_tokenizer(tokenizer_spec_from_gguf(fields));
  EXPECT_THAT(tokenizer->encode("he", {.add_special = true}), ElementsAre(260, 256));
  EXPECT_THAT(tokenizer->encode("he"), ElementsAre(256));
}

TEST(Tokenizer, ReadsRolesFromTheConfiguration) {
  const auto tokenizer = golden("byte_level", R"({"bos_token": "<s>", "add_bos_token": false,
      "eos_token": {"content": "</s>", "lstrip": false}, "pad_token": "nowhere"})");
  EXPECT_EQ(tokenizer->special().bos, tokenizer->find("<s>"));
  EXPECT_EQ(tokenizer->special().eos, tokenizer->find("</s>"));
  EXPECT_THAT(tokenizer->prefix(), ElementsAre());
  ASSERT_EQ(tokenizer->warnings().size(), 1u);
  EXPECT_THAT(tokenizer->warnings()[0], HasSubstr("pad_token nowhere"));
  ASSERT_EQ(tokenizer->stop_tokens().size(), 1u);
  EXPECT_EQ(tokenizer->stop_tokens()[0].origin, "eos_token of tokenizer_config.json");
}

// Stickers and faces are made of several code points, and those of bytes: a token each.
TEST(StreamDecoder, NeverSplitsACharacter) {
  const auto tokenizer = golden("byte_level");
  const std::string text = "好👩‍👩‍👧é🏳️‍🌈 ok";
  StreamDecoder stream(*tokenizer);
  std::string all;
  size_t pieces = 0;
  for (const int32_t id : tokenizer->encode(text)) {
    const std::string piece = stream.add(id);
    ASSERT_EQ(find_invalid_utf8(piece), std::string::npos) << piece;
    pieces += piece.empty() ? 0 : 1;
    all += piece;
  }
  EXPECT_EQ(all + stream.flush(), text);
  EXPECT_GT(pieces, 8u);
}

TEST(StreamDecoder, FlushGivesTheRestAndStartsAnew) {
  const auto tokenizer = golden("byte_level");
  const std::vector<int32_t> ids = tokenizer->encode("🙂");
  ASSERT_EQ(ids.size(), 4u);
  StreamDecoder stream(*tokenizer);
  for (size_t i = 0; i < 3; ++i) EXPECT_EQ(stream.add(ids[i]), "");
  EXPECT_THAT(stream.flush(), HasSubstr("\uFFFD"));
  EXPECT_EQ(stream.flush(), "");
  std::string again;
  for (const int32_t id : ids) again += stream.add(id);
  EXPECT_EQ(again, "🙂");
}

TEST(StreamDecoder, BytesThatCanBeNoCharacterAreReplaced) {
  const auto tokenizer = golden("byte_level");
  StreamDecoder stream(*tokenizer);
  std::string all;
  for (const int32_t id : tokenizer->encode("a\xE4\xB8"
                                            "b\xFF"))
    all += stream.add(id);
  EXPECT_EQ(all + stream.flush(), "a\uFFFD\uFFFDb\uFFFD");
}

TEST(StreamDecoder, ContinuesATextUnlessToldThatItBegins) {
  const auto tokenizer = golden("byte_fallback");
  const std::vector<int32_t> ids = tokenizer->encode("the dog");
  const auto run = [&](StreamDecoder stream) {
    std::string all;
    for (const int32_t id : ids) all += stream.add(id);
    return all + stream.flush();
  };
  EXPECT_EQ(run(StreamDecoder(*tokenizer)), " the dog");
  EXPECT_EQ(run(StreamDecoder(*tokenizer, {.at_text_start = true})), "the dog");
  EXPECT_EQ(tokenizer->decode(ids), "the dog");
}

TEST(StreamDecoder, AgreesWithDecodeForEveryKind) {
  for (const char* name :
       {"byte_level", "byte_fallback", "metaspace_first", "word_end", "wordpiece", "unigram"}) {
    const auto tokenizer = golden(name);
    for (const char* text : {"the quick brown dog.", "我想 in 公园 🙂", " a  b ", ""}) {
      const std::vector<int32_t> ids = tokenizer->encode(text);
      StreamDecoder stream(*tokenizer, {.at_text_start = true});
      std::string all;
      for (const int32_t id : ids) all += stream.add(id);
      EXPECT_EQ(all + stream.flush(), tokenizer->decode(ids)) << name << ": " << text;
    }
  }
}

TEST(Tokenizer, AnyBytesComeBackFromByteVocabularies) {
  const auto tokenizer = golden("byte_level");
  std::string all;
  for (int byte = 0; byte < 256; ++byte) all += static_cast<char>(byte);
  std::string back;
  for (const int32_t id : tokenizer->encode(all)) back += tokenizer->token_bytes(id);
  EXPECT_EQ(back, all);
}

// A quadratic algorithm would take minutes for each.
TEST(Tokenizer, LongHostileTextsTakeLinearTime) {
  const std::string ideograph = "的";
  std::string han, spaces(1 << 18, ' '), mixed;
  for (int i = 0; i < 80'000; ++i) han += ideograph;
  for (int i = 0; i < 30'000; ++i) mixed += "\n a\t";
  const std::string texts[] = {std::string(1 << 18, 'a'),
                               han,
                               spaces + "x",
                               spaces,
                               std::string(1 << 18, '1'),
                               mixed,
                               std::string(1 << 18, '\xE4'),
                               std::string(1 << 18, '<')};
  const auto start = std::chrono::steady_clock::now();
  for (const char* name : {"byte_level", "byte_level_prefix_space", "byte_fallback", "word_end",
                           "metaspace_first", "wordpiece", "unigram", "splits"}) {
    const auto tokenizer = golden(name);
    for (const std::string& text : texts) tokenizer->encode(text, {.parse_special = true});
  }
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(60));
}

TEST(Tokenizer, ThreadsShareOneTokenizer) {
  const auto tokenizer = golden("byte_level");
  const std::string text = "The quick 今天天气 🙂 brown fox, 12345 times.";
  const std::vector<int32_t> expected = tokenizer->encode(text);
  std::vector<std::thread> threads;
  std::vector<int> wrong(4);
  for (size_t t = 0; t < wrong.size(); ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 300; ++i) wrong[t] += tokenizer->encode(text) != expected;
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_THAT(wrong, ElementsAre(0, 0, 0, 0));
}

TEST(GgufTokenizer, NamesWhatIsWrong) {
  SmallGguf gguf;
  GgufTokenizerFields fields = gguf.fields();
  fields.pre = "martian";
  EXPECT_THAT(error_of(fields), AllOf(HasSubstr("martian"), HasSubstr("llama-bpe")));
  fields = gguf.fields();
  fields.model = "rwkv";
  EXPECT_THAT(error_of(fields), HasSubstr("tokenizer.ggml.model: unknown tokenizer rwkv"));
  fields = gguf.fields();
  fields.merges.push_back("x yz");
  EXPECT_THAT(error_of(fields), HasSubstr("merge 2 (x yz): the piece yz"));
  fields = gguf.fields();
  fields.merges.push_back("xyz");
  EXPECT_THAT(error_of(fields), HasSubstr("tokenizer.ggml.merges: xyz"));
  fields = gguf.fields();
  fields.merges.clear();
  EXPECT_THAT(error_of(fields), HasSubstr("tokenizer.ggml.merges is missing"));
  fields = gguf.fields();
  fields.token_types.pop_back();
  EXPECT_THAT(error_of(fields), HasSubstr("261 entries for 262 tokens"));
  fields = gguf.fields();
  fields.model = "llama";
  EXPECT_THAT(error_of(fields), HasSubstr("tokenizer.ggml.scores has 0 entries"));
  fields = gguf.fields();
  fields.tokens.clear();
  fields.token_types.clear();
  EXPECT_THAT(error_of(fields), HasSubstr("the vocabulary is empty"));
  fields = gguf.fields();
  fields.bos.reset();
  fields.add_bos = true;
  EXPECT_THAT(error_of(fields), HasSubstr("add_bos_token is true"));
}

TEST(GgufTokenizer, WarnsWhereTheFileLeavesThingsOpen) {
  SmallGguf gguf;
  GgufTokenizerFields fields = gguf.fields();
  fields.pre.reset();
  fields.eot = 5000;
  const auto tokenizer = make_tokenizer(tokenizer_spec_from_gguf(fields));
  EXPECT_THAT(tokenizer->warnings(),
              ElementsAre(HasSubstr("eot_token_id is 5000"), HasSubstr("no pre-tokenizer")));
}

TEST(GgufTokenizer, EveryPreTokenizerCompilesAndKeepsAllText) {
  const SmallGguf gguf;
  const std::string text = "Hello, y'all! 你好 123456 ３.5e7\n\n  <x>\tÀé कख ☺️ end ";
  for (const std::string_view name : gguf_pre_tokenizer_names()) {
    if (name == "gemma4") continue;  // no bytes
    GgufTokenizerFields fields = gguf.fields();
    fields.pre = name;
    const auto tokenizer = make_tokenizer(tokenizer_spec_from_gguf(fields));
    EXPECT_EQ(tokenizer->decode(tokenizer->encode(text)), text) << name;
  }
}

TEST(JsonTokenizer, NamesWhatIsWrong) {
  const auto error = [](std::string_view json) -> std::string {
    try {
      make_tokenizer(tokenizer_spec_from_json(json));
    } catch (const Error& e) {
      return e.what();
    }
    return "no error";
  };
  EXPECT_THAT(error("{"), HasSubstr("tokenizer.json: not valid JSON at byte"));
  EXPECT_THAT(error("[]"), HasSubstr("not a JSON object"));
  EXPECT_THAT(error("{}"), HasSubstr("no model"));
  EXPECT_THAT(error(R"({"model":{"type":"Magic","vocab":{"a":0}}})"),
              HasSubstr("model.type Magic"));
  EXPECT_THAT(error(R"({"model":{"type":"BPE","vocab":{"a":4000000000}}})"),
              HasSubstr("the piece a has the id"));
  EXPECT_THAT(error(R"({"model":{"type":"BPE","vocab":{"a":0},"merges":["a b"]}})"),
              HasSubstr("the piece b is not in the vocabulary"));
  EXPECT_THAT(error(R"({"model":{"type":"BPE","vocab":{"a":0},"merges":[["a"]]}})"),
              HasSubstr("not a list of two pieces"));
  EXPECT_THAT(
      error(R"({"model":{"type":"BPE","vocab":{"a":0}},"pre_tokenizer":{"type":"Psychic"}})"),
      HasSubstr("pre_tokenizer of type Psychic"));
  EXPECT_THAT(error(R"({"model":{"type":"BPE","vocab":{"a":0}},"normalizer":{"type":"NFC"},
                        "added_tokens":[{"id":-4,"content":"x"}]})"),
              HasSubstr("an added token has the id -4"));
  EXPECT_THAT(error(R"({"model":{"type":"Unigram","unk_id":7,"vocab":[["a",-1]]}})"),
              HasSubstr("unk_id 7"));
  EXPECT_THAT(error(std::string(100'000, '[')), HasSubstr("nested more than"));
}

TEST(MergesTokenizer, NeedsToKnowItsFamily) {
  const auto error = [](std::string_view config) -> std::string {
    try {
      tokenizer_spec_from_merges(R"({"a":0,"b":1,"ab":2})", "#version: 0.2\na b\n", config);
    } catch (const Error& e) {
      return e.what();
    }
    return "no error";
  };
  EXPECT_THAT(error("{}"), HasSubstr("tokenizer_class (none)"));
  EXPECT_THAT(error(R"({"tokenizer_class":"OwnTokenizer"})"), HasSubstr("tokenizer_class Own"));
  EXPECT_EQ(error(R"({"tokenizer_class":"GPT2TokenizerFast"})"), "no error");
}

// tiktoken's way, without merges: the pair whose joined text has the lowest id.
TEST(Tokenizer, MergesByIdWhereThereAreNoMerges) {
  SmallGguf gguf;
  gguf.merges.clear();
  GgufTokenizerFields fields = gguf.fields();
  fields.pre = "kimi-k2";
  const auto tokenizer = make_tokenizer(tokenizer_spec_from_gguf(fields));
  EXPECT_THAT(tokenizer->encode("he he"), ElementsAre(256, 257));
}

}  // namespace
}  // namespace zhiyin
