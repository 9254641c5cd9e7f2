#include "text/pretokenizer.h"

#include <utility>

namespace zhiyin {
namespace {

constexpr size_t kBatchWords = 2048;
constexpr std::string_view kMetaspace = "\u2581";  // ▁

struct Piece {
  TextSpan span;
  bool matched;
};

// All of text as matches and what lies between them.
template <typename Emit>
void for_each_piece(const Matcher& matcher, std::string_view text, bool invert, Emit emit) {
  size_t at = 0;
  while (at < text.size()) {
    TextSpan match = matcher.find(text, at);
    if (match.begin == kNoMatch) match = {text.size(), text.size()};
    if (match.begin > at) emit(Piece{{at, match.begin}, invert});
    if (match.end > match.begin) emit(Piece{match, !invert});
    at = match.end;
  }
}

}  // namespace

Matcher::Matcher(const std::string& given) {
  std::string pattern;  // some files have line breaks themselves where others escape them
  for (const char c : given) {
    if (c == '\r' || c == '\n') {
      pattern += c == '\r' ? "\\r" : "\\n";
    } else {
      pattern += c;
    }
  }
  scanner_ = find_scanner(pattern);
  if (scanner_ == nullptr) regex_.emplace_back(std::move(pattern));
}

PreTokenizer::PreTokenizer(const std::vector<PreTokenizerStep>& steps) {
  for (const PreTokenizerStep& step : steps) {
    steps_.push_back({step, {}});
    if (step.kind == PreTokenizerStep::Kind::kSplit) {
      steps_.back().matcher.emplace_back(step.pattern);
    }
  }
}

size_t PreTokenizer::split(std::string_view text, size_t from, bool first, Words& words) const {
  words.text = text;
  words.spans.clear();
  const bool single = steps_.size() == 1 && !steps_[0].matcher.empty() &&
                      steps_[0].spec.behavior == SplitBehavior::kIsolated;
  if (single) {  // the way of nearly all models, and the hot one
    const Matcher& matcher = steps_[0].matcher[0];
    while (from < text.size() && words.spans.size() < kBatchWords) {
      const TextSpan match = matcher.find(text, from);
      const size_t begin = match.begin == kNoMatch ? text.size() : match.begin;
      if (begin > from) words.spans.push_back({from, begin});
      if (match.begin == kNoMatch) return text.size();
      words.spans.push_back(match);
      from = match.end;
    }
    return from;
  }
  words.spans.push_back({0, text.size()});
  for (const Step& step : steps_) {
    if (step.spec.kind != PreTokenizerStep::Kind::kSplit) rewrite(step, first, words);
    if (!step.matcher.empty()) cut(step, words);
  }
  return text.size();
}

void PreTokenizer::cut(const Step& step, Words& words) const {
  std::swap(words.previous, words.spans);
  words.spans.clear();
  for (const TextSpan& word : words.previous) {
    const size_t first_of_word = words.spans.size();
    bool previous_matched = false;
    bool pending = false;  // kMergedWithNext: a match waits for what follows it
    const auto emit = [&](Piece piece) {
      const TextSpan span = {word.begin + piece.span.begin, word.begin + piece.span.end};
      bool joins = false;
      switch (step.spec.behavior) {
        case SplitBehavior::kRemoved:
          if (piece.matched) return;
          break;
        case SplitBehavior::kIsolated:
          break;
        case SplitBehavior::kContiguous:
          joins = piece.matched && previous_matched;
          break;
        case SplitBehavior::kMergedWithPrevious:
          joins = piece.matched && !previous_matched;
          break;
        case SplitBehavior::kMergedWithNext:
          joins = pending && !piece.matched;
          pending = piece.matched;
          break;
      }
      previous_matched = piece.matched;
      if (joins && words.spans.size() > first_of_word) {
        words.spans.back().end = span.end;
      } else {
        words.spans.push_back(span);
      }
    };
    for_each_piece(step.matcher[0], words.text.substr(word.begin, word.end - word.begin),
                   step.spec.invert, emit);
  }
}

void PreTokenizer::rewrite(const Step& step, bool first, Words& words) const {
  using Kind = PreTokenizerStep::Kind;
  using Prepend = PreTokenizerStep::Prepend;
  // The text may lie in either buffer, or in neither.
  std::string& out =
      words.text.data() == words.buffers[0].data() ? words.buffers[1] : words.buffers[0];
  out.clear();
  for (TextSpan& span : words.spans) {
    const std::string_view word = words.text.substr(span.begin, span.end - span.begin);
    const size_t begin = out.size();
    if (step.spec.kind == Kind::kPrependSpace) {
      if (!word.starts_with(' ')) out += ' ';
      out += word;
    } else {
      const bool prepends = step.spec.prepend == Prepend::kAlways ||
                            (step.spec.prepend == Prepend::kFirst && first && span.begin == 0);
      if (prepends && !word.starts_with(' ') && !word.starts_with(kMetaspace)) out += kMetaspace;
      for (const char c : word) {
        if (c == ' ') {
          out += kMetaspace;
        } else {
          out += c;
        }
      }
    }
    span = {begin, out.size()};
  }
  words.text = out;
}

}  // namespace zhiyin
