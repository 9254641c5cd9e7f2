// Unigram: the segmentation of a word whose pieces have the highest sum of scores (Kudo 2018,
// arXiv:1804.10959), by dynamic programming from the left.
#include <algorithm>
#include <limits>

#include "base/utf8.h"
#include "text/prefix_search.h"
#include "text/word_model.h"

namespace zhiyin {
namespace {

// SentencePiece's: an unknown character is this much worse than the worst piece.
constexpr double kUnknownPenalty = 10.0;

class Unigram : public WordModel {
 public:
  Unigram(const Vocabulary& vocabulary, const TokenizerSpec& spec)
      : spec_(spec), byte_ids_(byte_piece_ids(vocabulary)) {
    check(spec.scores.size() == vocabulary.pieces.size(), ErrorCode::kFailed,
          "unigram tokenizer: ", vocabulary.pieces.size(), " pieces but ", spec.scores.size(),
          " scores");
    double worst = 0.0;
    std::vector<PrefixSearch::Entry> entries;
    entries.reserve(vocabulary.pieces.size());
    for (size_t id = 0; id < vocabulary.pieces.size(); ++id) {
      const TokenKind kind = spec.kinds.empty() ? TokenKind::kNormal : spec.kinds[id];
      if (kind == TokenKind::kControl || kind == TokenKind::kUnknown || kind == TokenKind::kByte) {
        continue;
      }
      if (kind == TokenKind::kNormal) worst = std::min(worst, double{spec.scores[id]});
      entries.push_back({vocabulary.pieces[id], static_cast<int32_t>(id)});
    }
    unknown_score_ = worst - kUnknownPenalty;
    search_ = PrefixSearch(std::move(entries));
  }

  void encode(std::string_view word, WordScratch& scratch,
              std::vector<int32_t>& out) const override {
    constexpr double kUnreached = -std::numeric_limits<double>::infinity();
    // By end of a piece: the best score up to it, the piece and its length.
    scratch.best.assign(word.size() + 1, kUnreached);
    scratch.ids.assign(word.size() + 1, kNoToken);
    scratch.lengths.assign(word.size() + 1, 0);
    scratch.best[0] = 0.0;
    const auto offer = [&](size_t begin, size_t length, int32_t id, double score) {
      const double total = scratch.best[begin] + score;
      const size_t end = begin + length;
      if (scratch.lengths[end] != 0 && total <= scratch.best[end]) return;
      scratch.best[end] = total;
      scratch.ids[end] = id;
      scratch.lengths[end] = static_cast<uint32_t>(length);
    };
    for (size_t at = 0; at < word.size();) {
      const auto character = static_cast<size_t>(decode_utf8(word, at).length);
      bool single = false;
      search_.for_each(word.substr(at), [&](size_t length, int32_t id) {
        offer(at, length, id, score(id));
        single = single || length == character;
      });
      if (!single) offer(at, character, kNoToken, unknown_score_);
      at += character;
    }
    collect(word, scratch, out);
  }

 private:
  double score(int32_t id) const {
    const auto index = static_cast<size_t>(id);
    // User-defined pieces are to be taken wherever they fit.
    const bool always = !spec_.kinds.empty() && spec_.kinds[index] == TokenKind::kUserDefined;
    return always ? 0.0 : double{spec_.scores[index]};
  }

  void collect(std::string_view word, WordScratch& scratch, std::vector<int32_t>& out) const {
    const size_t start = out.size();
    bool after_unknown = false;
    for (size_t end = word.size(); end > 0; end -= scratch.lengths[end]) {
      const bool unknown = scratch.ids[end] == kNoToken;
      if (!unknown) {
        out.push_back(scratch.ids[end]);
      } else if (!push_bytes_reversed(word.substr(end - scratch.lengths[end], scratch.lengths[end]),
                                      out) &&
                 !after_unknown && spec_.special.unk != kNoToken) {
        out.push_back(spec_.special.unk);
      }
      after_unknown = unknown;
    }
    std::reverse(out.begin() + static_cast<std::ptrdiff_t>(start), out.end());
  }
  bool push_bytes_reversed(std::string_view character, std::vector<int32_t>& out) const {
    if (!spec_.byte_fallback) return false;
    for (const char c : character) {
      if (byte_ids_[static_cast<unsigned char>(c)] == kNoToken) return false;
    }
    for (auto c = character.rbegin(); c != character.rend(); ++c) {
      out.push_back(byte_ids_[static_cast<unsigned char>(*c)]);
    }
    return true;
  }

  const TokenizerSpec& spec_;
  std::vector<int32_t> byte_ids_;
  double unknown_score_ = 0.0;
  PrefixSearch search_;
};

}  // namespace

std::unique_ptr<WordModel> make_unigram(const Vocabulary& vocabulary, const TokenizerSpec& spec) {
  return std::make_unique<Unigram>(vocabulary, spec);
}

}  // namespace zhiyin
