// What the four tokenizer models have in common: they turn one word into token ids.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "text/string_table.h"
#include "text/tokenizer_spec.h"

namespace zhiyin {

// One piece of a word while it is being put together.
struct Symbol {
  int32_t id;
  uint32_t begin;  // bytes of the word
  uint32_t size;
};

// Memory that encoding reuses from word to word. One a thread.
struct WordScratch {
  struct Candidate {
    uint32_t priority;
    uint32_t left;
  };
  std::vector<Symbol> symbols;
  std::vector<uint32_t> next, previous, priorities;
  std::vector<int32_t> merged;
  std::vector<Candidate> heap;
  std::vector<double> best;
  std::vector<uint32_t> lengths;
  std::vector<int32_t> ids;
  std::string text;
};

// The pieces that a model may use, and where to find them.
struct Vocabulary {
  explicit Vocabulary(StringTable table) : pieces(std::move(table)), index(pieces, pieces.size()) {}
  Vocabulary(const Vocabulary&) = delete;
  Vocabulary& operator=(const Vocabulary&) = delete;

  int32_t find(std::string_view piece) const { return index.find(piece); }

  StringTable pieces;  // by id, as words spell them
  StringIndex index;
};

// Immutable, so that threads may share it.
class WordModel {
 public:
  virtual ~WordModel() = default;
  // Appends the ids of a word, which is not empty.
  virtual void encode(std::string_view word, WordScratch& scratch,
                      std::vector<int32_t>& out) const = 0;
};

// vocabulary and spec must outlive the model; spec.pieces is not looked at. Where the pieces of a
// vocabulary are bytes, vocabulary holds them as bytes.
std::unique_ptr<WordModel> make_bpe(const Vocabulary& vocabulary, const TokenizerSpec& spec);
std::unique_ptr<WordModel> make_piece_bpe(const Vocabulary& vocabulary, const TokenizerSpec& spec);
std::unique_ptr<WordModel> make_unigram(const Vocabulary& vocabulary, const TokenizerSpec& spec);
std::unique_ptr<WordModel> make_wordpiece(const Vocabulary& vocabulary, const TokenizerSpec& spec);

// GPT-2's alphabet, which spells each byte as one printable character. Appends the bytes that text
// stands for; false, and nothing appended, where text has other characters.
bool append_byte_level(std::string& out, std::string_view text);

// The byte that a piece such as <0x41> stands for, or -1.
int byte_of_piece(std::string_view piece);

// The ids of <0x00> to <0xFF>, kNoToken where there is none.
std::vector<int32_t> byte_piece_ids(const Vocabulary& vocabulary);

}  // namespace zhiyin
