#include "zhiyin/stickers.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "base/file.h"
#include "harness/open_options.h"
#include "harness/tiny_chat_model.h"
#include "zhiyin/generate.h"

namespace zhiyin::testing {
namespace {

using ::testing::HasSubstr;

constexpr const char* kCat = "http://example.org/m=ab?x=1&y=%E7%8C%AB";
constexpr const char* kOdd = "http://example.org/a (1).gif";

class StickersTest : public ::testing::Test {
 protected:
  Stickers catalogue(const std::string& json) const {
    write_file(folder_ / "stickers.json", json);
    return Stickers::read(folder_ / "stickers.json");
  }
  Stickers two() const {
    return catalogue(std::string(R"({"k1":{"name":"猫","url":")") + kCat +
                     R"(","count":2},"k2":{"name":"点赞","url":")" + kOdd + R"(","count":1}})");
  }

  TemporaryFolder folder_;
};

TEST_F(StickersTest, PutsTheAddressInForDisplayAlone) {
  const Stickers stickers = two();
  EXPECT_EQ(stickers.show("好[[猫]][[点赞]]！", StickerStyle::kMarkdown),
            std::string("好![猫](") + kCat + ")![点赞](<" + kOdd + ">)！");
  EXPECT_EQ(stickers.show("[[猫]]", StickerStyle::kTerminal),
            std::string("\x1b]8;;") + kCat + "\x1b\\[猫]\x1b]8;;\x1b\\");
  EXPECT_EQ(stickers.show("[[狗]] [[ [[[猫]] [[", StickerStyle::kMarkdown),
            std::string("[[狗]] [[ [![猫](") + kCat + ") [[");
}

TEST_F(StickersTest, TextInPiecesShowsTheSame) {
  const Stickers stickers = two();
  const std::string text = "a[[猫]]b[c[[点赞]]d[[狗]][[";
  for (size_t piece = 1; piece < 6; ++piece) {
    StickerStream stream(stickers, StickerStyle::kMarkdown);
    std::string shown;
    for (size_t i = 0; i < text.size(); i += piece) shown += stream.add(text.substr(i, piece));
    EXPECT_EQ(shown + stream.flush(), stickers.show(text, StickerStyle::kMarkdown));
  }
  const Stickers none;
  StickerStream stream(none, StickerStyle::kMarkdown);
  EXPECT_EQ(stream.add("[["), "[[");  // nothing to wait for
}

TEST_F(StickersTest, WhatAModelWritesBetweenBracketsResolves) {
  write_tiny_chat_model(folder_ / "model");
  Model model = Model::open(folder_ / "model", one_thread());
  EXPECT_TRUE(Stickers::beside(model).empty());
  write_file(folder_ / "model/stickers.json",
             R"({"k":{"name":"猫","url":"u"},"l":{"name":"猫猫","url":"v"}})");
  const Stickers stickers = Stickers::beside(model);
  Generator generator(model, 64);
  for (uint64_t seed = 0; seed < 20; ++seed) {
    GenerateRequest request;
    request.raw_prompt = "x";
    request.sampling.seed = seed;
    request.sampling.temperature = 2;
    // Whatever it would write, it begins with an opener.
    request.sampling.logit_bias['['] = 1e6F;
    request.max_tokens = 12;
    request.names = stickers.names();
    const std::string text = generator.run(request).text;
    EXPECT_THAT(text, ::testing::AnyOf(HasSubstr("[[猫]]"), HasSubstr("[[猫猫]]"))) << seed;
  }
}

TEST_F(StickersTest, RefusesADamagedCatalogue) {
  EXPECT_THROW(Stickers::read(folder_ / "none.json"), Error);
  EXPECT_THROW(catalogue("[]"), Error);
  EXPECT_THROW(catalogue(R"({"k":{"name":"","url":"u"}})"), Error);
  EXPECT_THROW(catalogue(R"({"k":{"name":"a"}})"), Error);
}

}  // namespace
}  // namespace zhiyin::testing
