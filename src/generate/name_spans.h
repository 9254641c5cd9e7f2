// Spans that hold one name of a fixed list, such as [[点赞]] for a sticker: once the opener is
// written, only a name and the closer can follow, so that every span written resolves.
//
// Names are followed byte by byte through a trie, and tokens are whatever bytes they add: a token
// may open a span, hold a part of a name, or end one span and open the next. Within a span the
// probabilities of the tokens that can follow are renormalised (the others get probability 0), so
// the probability of a name is the product of those.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace zhiyin {

// Immutable after construction. Beginning with `outside`, a state says how far a span has come.
class NameSpans {
 public:
  static constexpr std::string_view kOpener = "[[", kCloser = "]]";
  static constexpr int32_t kOutside = 0;
  static constexpr int32_t kImpossible = -1;

  // vocabulary: the bytes that each token adds, by id; empty for tokens that are not text. The
  // bytes must stay where they are while this lives. Throws kUsage for a list without names, and
  // for a name that is empty or holds a bracket.
  NameSpans(std::vector<std::string_view> vocabulary, const std::vector<std::string>& names);

  // The state after more bytes, kImpossible where no name goes on like that.
  int32_t advance(int32_t state, std::string_view bytes) const;

  // Sets the logits of the tokens that cannot follow to -infinity. At least one remains, as long
  // as the vocabulary has a token for every single byte of a name; else throws kUnsupported.
  void mask(int32_t state, std::span<float> logits) const;

  std::string_view token_bytes(int32_t id) const {
    return static_cast<size_t>(id) < vocabulary_.size() ? vocabulary_[static_cast<size_t>(id)]
                                                        : std::string_view();
  }

 private:
  struct Node {
    std::vector<std::pair<uint8_t, int32_t>> next;  // by byte
  };

  bool inside(int32_t state) const { return state > kHalfOpen; }
  // Calls allow(id) for the tokens of order_[begin, end), which share `depth` bytes that lead to
  // `state`, where the rest of their bytes can follow.
  template <typename Allow>
  void walk(int32_t state, size_t begin, size_t end, size_t depth, const Allow& allow) const;

  static constexpr int32_t kHalfOpen = 1;  // after the first byte of the opener

  std::vector<std::string_view> vocabulary_;
  std::vector<Node> nodes_;     // 0: outside, 1: half open, 2: the root of the names
  std::vector<int32_t> order_;  // ids of the tokens with text, by their bytes
  // Tokens that could break a span though none is open: with an opener in them, or with the second
  // half of one at the start.
  std::vector<int32_t> openers_;
};

// Where one answer stands.
class NameSpanState {
 public:
  explicit NameSpanState(const NameSpans& spans) : spans_(&spans) {}
  void mask(std::span<float> logits) const { spans_->mask(state_, logits); }
  void accept(int32_t id) { state_ = spans_->advance(state_, spans_->token_bytes(id)); }

 private:
  const NameSpans* spans_;
  int32_t state_ = NameSpans::kOutside;
};

}  // namespace zhiyin
