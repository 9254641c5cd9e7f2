#include "chats/style.h"

#include <unicode/uchar.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <set>

#include "base/utf8.h"

namespace zhiyin::chats {
namespace {

constexpr std::u32string_view kParticles = U"吧呢啊呀嘛啦哦哈嘿嗯噢诶哎哇吗么呗喔嘻呜唉哟咯耶";
constexpr std::u32string_view kEndMarks = U"。！？.!?…～~";
constexpr char32_t kJoiner = 0x200D;

bool is_space(char32_t c) { return u_isUWhiteSpace(static_cast<UChar32>(c)); }

// A pictograph that begins an emoji, not the second of a joined pair. Below U+2000 stand signs such
// as © that are pictographs by name only.
bool begins_emoji(char32_t c, char32_t before) {
  return c >= 0x2000 && before != kJoiner &&
         u_hasBinaryProperty(static_cast<UChar32>(c), UCHAR_EXTENDED_PICTOGRAPHIC);
}

// Written in every line and chat: the marks, and the wave that Unicode takes for a symbol.
bool is_mark(char32_t c) { return u_ispunct(static_cast<UChar32>(c)) || c == U'~' || c == U'～'; }

std::vector<std::string> bubbles_of(const std::string& turn) {
  std::vector<std::string> bubbles;
  size_t begin = 0;
  while (begin <= turn.size()) {
    const size_t end = std::min(turn.find('\n', begin), turn.size());
    std::string line = turn.substr(begin, end - begin);
    if (line.find_first_not_of(" \t\r") != line.npos) bubbles.push_back(std::move(line));
    begin = end + 1;
  }
  return bubbles;
}

std::u32string without_spaces(std::string_view text) {
  std::u32string points = utf8_to_utf32(text);
  std::erase_if(points, is_space);
  return points;
}

}  // namespace

Style style_of(std::span<const std::string> turns) {
  Style style;
  double bubbles = 0, characters = 0, ended = 0, stickers = 0;
  for (const std::string& turn : turns) {
    ++style.turns;
    stickers += static_cast<double>(sticker_spans(turn).size());
    for (const std::string& bubble : bubbles_of(turn)) {
      ++bubbles;
      char32_t before = 0, last = 0;
      for (const char32_t c : utf8_to_utf32(bubble)) {
        if (!is_space(c)) {
          ++characters;
          last = c;
        }
        style.emoji += begins_emoji(c, before) ? 1 : 0;
        style.particles += kParticles.find(c) != kParticles.npos ? 1 : 0;
        style.punctuation += is_mark(c) ? 1 : 0;
        before = c;
      }
      ended += kEndMarks.find(last) != kEndMarks.npos ? 1 : 0;
    }
  }
  const double n = std::max<double>(1, static_cast<double>(style.turns));
  const double hundreds = std::max(1.0, characters) / 100;
  style.bubbles_a_turn = bubbles / n;
  style.characters_a_bubble = characters / std::max(1.0, bubbles);
  style.emoji /= hundreds;
  style.particles /= hundreds;
  style.punctuation /= hundreds;
  style.stickers_a_turn = stickers / n;
  style.ends_with_mark = ended / std::max(1.0, bubbles);
  return style;
}

double style_distance(const Style& a, const Style& b) {
  // Feature of both, and what is added to it: about where a difference begins to be seen.
  struct Feature {
    double a, b, little;
  };
  const std::array features = {Feature{a.bubbles_a_turn, b.bubbles_a_turn, 0.2},
                               Feature{a.characters_a_bubble, b.characters_a_bubble, 1},
                               Feature{a.emoji, b.emoji, 0.5},
                               Feature{a.particles, b.particles, 0.5},
                               Feature{a.punctuation, b.punctuation, 0.5},
                               Feature{a.stickers_a_turn, b.stickers_a_turn, 0.1},
                               Feature{a.ends_with_mark, b.ends_with_mark, 0.1}};
  double sum = 0;
  for (const Feature& f : features) sum += std::fabs(std::log((f.a + f.little) / (f.b + f.little)));
  return sum / static_cast<double>(features.size());
}

double repetition_of(std::string_view text) {
  constexpr size_t kRun = 4;
  const std::u32string points = without_spaces(text);
  if (points.size() < 2 * kRun) return 0;
  std::set<std::u32string_view> seen;
  size_t again = 0;
  const size_t runs = points.size() - kRun + 1;
  for (size_t i = 0; i < runs; ++i) {
    again += seen.insert(std::u32string_view(points).substr(i, kRun)).second ? 0 : 1;
  }
  return static_cast<double>(again) / static_cast<double>(runs);
}

double similarity_of(std::string_view a, std::string_view b) {
  const std::u32string x = without_spaces(a), y = without_spaces(b);
  if (x == y) return 1;
  if (x.size() < 2 || y.size() < 2) return 0;
  std::map<std::u32string_view, int64_t> pairs;
  for (size_t i = 0; i + 1 < x.size(); ++i) ++pairs[std::u32string_view(x).substr(i, 2)];
  double shared = 0;
  for (size_t i = 0; i + 1 < y.size(); ++i) {
    const auto found = pairs.find(std::u32string_view(y).substr(i, 2));
    if (found == pairs.end() || found->second == 0) continue;
    --found->second;
    ++shared;
  }
  return 2 * shared / static_cast<double>(x.size() + y.size() - 2);
}

std::vector<StickerSpan> sticker_spans(std::string_view text) {
  std::vector<StickerSpan> spans;
  for (size_t at = text.find("[["); at != text.npos; at = text.find("[[", at)) {
    const size_t begin = at + 2;
    const size_t end = text.find_first_of("[]\n", begin);
    const bool closed = end != text.npos && text.substr(end, 2) == "]]";
    spans.push_back(
        {std::string(text.substr(begin, (closed ? end : std::min(end, text.size())) - begin)),
         closed});
    at = begin;
  }
  return spans;
}

}  // namespace zhiyin::chats
