// WordPiece as BERT uses it: the longest piece from the left, again and again; a word that cannot
// be spelled so is unknown as a whole.
#include <algorithm>

#include "base/utf8.h"
#include "text/word_model.h"

namespace zhiyin {
namespace {

class WordPiece : public WordModel {
 public:
  WordPiece(const Vocabulary& vocabulary, const TokenizerSpec& spec)
      : vocabulary_(vocabulary), spec_(spec) {
    for (size_t id = 0; id < vocabulary.pieces.size(); ++id) {
      longest_ = std::max(longest_, vocabulary.pieces[id].size());
    }
  }

  void encode(std::string_view word, WordScratch& scratch,
              std::vector<int32_t>& out) const override {
    const size_t start = out.size();
    size_t characters = 0;
    for (const char c : word) characters += (static_cast<unsigned char>(c) & 0xC0) != 0x80;
    bool spelled = characters <= spec_.max_word_chars;
    for (size_t at = 0; at < word.size() && spelled;) {
      scratch.text.assign(at == 0 ? std::string_view() : std::string_view(spec_.continuation));
      const size_t prefix = scratch.text.size();
      scratch.text += word.substr(at, longest_);
      int32_t id = vocabulary_.find(scratch.text);
      while (id == kNoToken && scratch.text.size() > prefix + 1) {
        do {  // drop the last character
          scratch.text.pop_back();
        } while (scratch.text.size() > prefix &&
                 !is_boundary(word, at + scratch.text.size() - prefix));
        if (scratch.text.size() > prefix) id = vocabulary_.find(scratch.text);
      }
      spelled = id != kNoToken;
      out.push_back(id);
      at += scratch.text.size() - prefix;
    }
    if (spelled) return;
    out.resize(start);
    if (spec_.special.unk != kNoToken) out.push_back(spec_.special.unk);
  }

 private:
  static bool is_boundary(std::string_view word, size_t at) {
    return (static_cast<unsigned char>(word[at]) & 0xC0) != 0x80;
  }

  const Vocabulary& vocabulary_;
  const TokenizerSpec& spec_;
  size_t longest_ = 0;  // piece, in bytes
};

}  // namespace

std::unique_ptr<WordModel> make_wordpiece(const Vocabulary& vocabulary, const TokenizerSpec& spec) {
  return std::make_unique<WordPiece>(vocabulary, spec);
}

}  // namespace zhiyin
