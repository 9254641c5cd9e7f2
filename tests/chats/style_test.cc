// What a scorecard counts.
#include "chats/style.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace zhiyin::chats {
namespace {

TEST(Style, CountsBubblesMarksEmojiAndParticles) {
  const std::vector<std::string> turns = {"好呀！\n在面包店呢 🍞",
                                          "👨‍👩‍👧 嗯\n\n[[比心]]"};
  const Style s = style_of(turns);
  EXPECT_EQ(s.turns, 2);
  EXPECT_DOUBLE_EQ(s.bubbles_a_turn, 2);
  EXPECT_DOUBLE_EQ(s.stickers_a_turn, 0.5);
  EXPECT_DOUBLE_EQ(s.ends_with_mark, 0.25);
  // 3 + 6 + (5 code points of a family and 嗯) + 6 characters.
  EXPECT_DOUBLE_EQ(s.characters_a_bubble, 21.0 / 4);
  EXPECT_NEAR(s.emoji, 2 / 0.21, 1e-9) << "a family is one emoji";
  EXPECT_NEAR(s.particles, 3 / 0.21, 1e-9);
  EXPECT_NEAR(s.punctuation, 5 / 0.21, 1e-9);
}

TEST(Style, DistanceIsZeroForTheSameAndGrows) {
  const std::vector<std::string> mine = {"好呀～\n来了", "嗯嗯 🙂"};
  const std::vector<std::string> near = {"好的～\n走了", "哈哈 🙂"};
  const std::vector<std::string> far = {
      "As an AI language model, I would be happy to help you with that request today."};
  const Style a = style_of(mine);
  EXPECT_EQ(style_distance(a, a), 0);
  EXPECT_LT(style_distance(a, style_of(near)), 0.3);
  EXPECT_GT(style_distance(a, style_of(far)), 0.8);
  EXPECT_DOUBLE_EQ(style_distance(a, style_of(far)), style_distance(style_of(far), a));
}

TEST(Style, RepetitionSeesLoops) {
  EXPECT_EQ(repetition_of("今天去面包店买了两个牛角包"), 0);
  EXPECT_EQ(repetition_of("哈哈"), 0);
  std::string loop;
  for (int i = 0; i < 30; ++i) loop += "我爱你，";
  EXPECT_GT(repetition_of(loop), 0.9);
}

TEST(Style, SimilarityIsOneForTheSameWords) {
  EXPECT_EQ(similarity_of("在 面包店", "在面包店"), 1);
  EXPECT_EQ(similarity_of("天", "地"), 0);
  EXPECT_DOUBLE_EQ(similarity_of("abcd", "abxy"), 1.0 / 3);
}

TEST(Style, StickerSpansKeepBrokenOnes) {
  const auto spans = sticker_spans("好[[比心]] [[a]] [[没完\n[[b]x");
  ASSERT_EQ(spans.size(), 4u);
  EXPECT_TRUE(spans[0].closed && spans[1].closed);
  EXPECT_EQ(spans[0].name, "比心");
  EXPECT_FALSE(spans[2].closed || spans[3].closed);
  EXPECT_EQ(spans[2].name, "没完");
}

}  // namespace
}  // namespace zhiyin::chats
