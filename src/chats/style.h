// How somebody writes, in numbers: what a scorecard compares a persona's answers with the real
// person's by. Counts of characters are of code points.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace zhiyin::chats {

// Means over a person's turns. A turn is what is said before the other side speaks; its lines are
// its bubbles.
struct Style {
  int64_t turns = 0;
  double bubbles_a_turn = 0;
  double characters_a_bubble = 0;
  // Of a hundred characters.
  double emoji = 0;        // pictographs, each sequence once
  double particles = 0;    // 吧 呢 啊 呀 嘛 …
  double punctuation = 0;  // 。，！？ and the like, ASCII ones too
  double stickers_a_turn = 0;
  double ends_with_mark = 0;  // share of bubbles that end in 。！？.!?
};

Style style_of(std::span<const std::string> turns);

// 0: alike. The mean over the features of |ln(a / b)|, with a little added to both so that what is
// rare in both counts little: 0.7 means that a typical feature is off by a factor of two.
double style_distance(const Style& a, const Style& b);

// The share of a text's runs of four characters that stood in it before: 0 for a text that never
// repeats, near 1 for one caught in a loop.
double repetition_of(std::string_view text);

// F1 of the pairs of neighbouring characters of two texts (white space left out): 1 for the same
// text, 0 for texts that share nothing.
double similarity_of(std::string_view a, std::string_view b);

// [[name]] spans in a text, in order. A span that is opened and not closed is given as it is, from
// its brackets on.
struct StickerSpan {
  std::string name;
  bool closed = false;
};
std::vector<StickerSpan> sticker_spans(std::string_view text);

}  // namespace zhiyin::chats
