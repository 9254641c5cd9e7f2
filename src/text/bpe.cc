// Byte-pair encoding: over bytes (GPT-2 and all that follow it), over characters (GPT-1, Llama 2 in
// tokenizer.json), and with the pieces themselves as merges (SentencePiece, tiktoken).
#include <algorithm>
#include <array>
#include <bit>
#include <utility>

#include "base/utf8.h"
#include "text/merge.h"
#include "text/word_model.h"

namespace zhiyin {
namespace {

// Limits of the packed key; real vocabularies have at most 262,144 pieces and 600,000 merges.
constexpr int kIdBits = 21;
constexpr int kRankBits = 22;
constexpr uint32_t kNoId = (1u << kIdBits) - 1;

// (left id, right id) -> (rank, id of both joined). One 64-bit word an entry: 21 + 21 bits of ids,
// 22 bits of rank, so that a look-up costs one cache miss.
class MergeTable {
 public:
  explicit MergeTable(size_t expected) {
    check(expected < (1u << kRankBits), ErrorCode::kUnsupported, "tokenizer: ", expected,
          " merges, at most ", (1u << kRankBits) - 1, " are taken");
    const auto capacity = std::bit_ceil(std::max<size_t>(16, expected * 5 / 3));
    slots_.assign(capacity, kEmpty);
    shift_ = 64 - std::countr_zero(capacity);
    joined_.reserve(expected);
  }

  // In order of rank; of equal pairs the first counts.
  void add(int32_t left, int32_t right, int32_t joined) {
    const uint64_t key = key_of(left, right);
    const uint64_t rank = joined_.size();
    joined_.push_back(joined);
    size_t at = slot_of(key);
    for (; slots_[at] != kEmpty; at = next(at)) {
      if (slots_[at] >> kRankBits == key) return;
    }
    slots_[at] = key << kRankBits | rank;
  }

  Merge find(int32_t left, int32_t right) const {
    const uint64_t key = key_of(left, right);
    for (size_t at = slot_of(key); slots_[at] != kEmpty; at = next(at)) {
      if (slots_[at] >> kRankBits == key) {
        const auto rank = static_cast<uint32_t>(slots_[at] & ((1u << kRankBits) - 1));
        return {rank, joined_[rank]};
      }
    }
    return {};
  }

 private:
  // Pairs with kNoId are in no table, so no pair ever packs to this.
  static constexpr uint64_t kEmpty = ~uint64_t{0};

  static uint64_t key_of(int32_t left, int32_t right) {
    return (static_cast<uint64_t>(static_cast<uint32_t>(left) & kNoId) << kIdBits) |
           (static_cast<uint32_t>(right) & kNoId);
  }
  size_t slot_of(uint64_t key) const { return (key * 0x9E3779B97F4A7C15u) >> shift_; }
  size_t next(size_t at) const { return (at + 1) & (slots_.size() - 1); }

  std::vector<uint64_t> slots_;
  std::vector<int32_t> joined_;  // by rank
  int shift_ = 0;
};

struct MergeIds {
  int32_t left, right, joined;
};

// The ids of every merge. `as_bytes`: the merges are spelled in GPT-2's alphabet.
std::vector<MergeIds> resolve_merges(const Vocabulary& vocabulary, const TokenizerSpec& spec,
                                     bool as_bytes) {
  check(vocabulary.pieces.size() < kNoId, ErrorCode::kUnsupported,
        "tokenizer: ", vocabulary.pieces.size(), " pieces, at most ", kNoId - 1, " are taken");
  std::vector<MergeIds> resolved;
  resolved.reserve(spec.merges.size());
  std::string text;
  for (size_t i = 0; i < spec.merges.size(); ++i) {
    const std::string_view both = spec.merges.joined[i];
    const std::string_view left = both.substr(0, spec.merges.left_sizes[i]);
    std::string_view right = both.substr(left.size());
    const auto append = [&](std::string_view part) {
      if (!as_bytes || !append_byte_level(text, part)) text += part;
    };
    text.clear();
    append(left);
    const size_t left_size = text.size();
    append(right);
    const auto find = [&](std::string_view piece) {
      const int32_t id = vocabulary.find(piece);
      check(id != kNoToken, ErrorCode::kFailed, "merge ", i, " (", left, " ", right,
            "): the piece ", piece, " is not in the vocabulary");
      return id;
    };
    MergeIds ids{find(std::string_view(text).substr(0, left_size)),
                 find(std::string_view(text).substr(left_size)), kNoToken};
    if (!spec.continuation.empty() &&
        std::string_view(text).substr(left_size).starts_with(spec.continuation)) {
      text.erase(left_size, spec.continuation.size());
    }
    ids.joined = find(text);
    resolved.push_back(ids);
  }
  return resolved;
}

MergeTable make_table(const std::vector<MergeIds>& merges) {
  MergeTable table(merges.size());
  for (const MergeIds& merge : merges) table.add(merge.left, merge.right, merge.joined);
  return table;
}

bool is_continuation(char c) { return (static_cast<unsigned char>(c) & 0xC0) == 0x80; }

// Bytes of the character that begins here, 2 or 3; 0 for any other length and ill-formed text.
int short_character(std::string_view text, char32_t& code_point) {
  const auto lead = static_cast<unsigned char>(text[0]);
  if (lead < 0xC2 || lead >= 0xF0) return 0;
  if (lead < 0xE0) {
    if (text.size() < 2 || !is_continuation(text[1])) return 0;
    code_point = (lead & 0x1Fu) << 6 | (static_cast<unsigned char>(text[1]) & 0x3Fu);
    return 2;
  }
  if (text.size() < 3 || !is_continuation(text[1]) || !is_continuation(text[2])) return 0;
  code_point = (lead & 0x0Fu) << 12 | (static_cast<unsigned char>(text[1]) & 0x3Fu) << 6 |
               (static_cast<unsigned char>(text[2]) & 0x3Fu);
  return code_point >= 0x800 ? 3 : 0;
}

// Classes of the byte before and the byte behind a character, as bits. The finer they are, the
// fewer characters have to be merged byte by byte.
constexpr uint32_t class_before(unsigned char byte) {
  if (byte < 0x80) return byte == ' ' ? 1u : 2u;
  return 4u << ((byte >> 4) & 3);  // the four quarters of the continuation bytes; others fit too
}
constexpr uint32_t class_behind(unsigned char byte) {
  if (byte < 0xE0) return byte < 0x80 ? 1u << 8 : byte < 0xC0 ? 1u << 9 : 1u << 10;
  return 1u << (11 + (byte & 0x0F));
}
constexpr size_t kClasses = 27;

// Characters whose bytes may be joined before anything else, because merging would do just that.
// Starting from characters instead of bytes makes Chinese several times faster.
//
// Let c be a character whose bytes, alone, become one piece, by merges up to rank m. While c is not
// whole, one of those merges is possible, so nothing of a higher rank happens anywhere. Hence c
// may begin whole if
//   (1) every merge of an incomplete part of c with what stands beside c has a rank above m, and
//   (2) every merge of the whole of c has a rank above m,
// for then its neighbours, too, see the same c at the same time as before. For (1) a neighbour is
// known by the class of the one byte that touches c.
class WholeCharacters {
 public:
  WholeCharacters(const Vocabulary& vocabulary, const std::vector<MergeIds>& merges,
                  const MergeTable& table, const std::array<int32_t, 256>& byte_ids)
      : characters_(0x10000) {
    const Parts parts(vocabulary, merges);
    std::vector<uint32_t> whole(vocabulary.pieces.size(), Merge::kNever);
    for (uint32_t rank = 0; rank < merges.size(); ++rank) {
      for (const int32_t id : {merges[rank].left, merges[rank].right}) {
        whole[static_cast<size_t>(id)] = std::min(whole[static_cast<size_t>(id)], rank);
      }
    }
    for (size_t id = 0; id < vocabulary.pieces.size(); ++id) {
      const std::string_view piece = vocabulary.pieces[id];
      char32_t c = 0;
      if (piece.empty() || short_character(piece, c) != static_cast<int>(piece.size())) continue;
      const Merge merge = merge_alone(piece, table, byte_ids);
      if (merge.id != static_cast<int32_t>(id) || merge.priority >= whole[id]) continue;
      characters_[c].id = merge.id;
      for (size_t size = 1; size < piece.size(); ++size) {
        characters_[c].dangers |= parts.dangers(piece.substr(0, size), merge.priority) |
                                  parts.dangers(piece.substr(size), merge.priority);
      }
    }
  }

  // The piece of the character c, if it may begin whole between bytes of these classes.
  int32_t find(char32_t c, uint32_t classes) const {
    return (characters_[c].dangers & classes) == 0 ? characters_[c].id : kNoToken;
  }

 private:
  // For each incomplete part of a character, the lowest rank of its merges with what stands before
  // (parts that begin a character) or behind it (parts that end one), by class of the touching
  // byte.
  class Parts {
   public:
    Parts(const Vocabulary& vocabulary, const std::vector<MergeIds>& merges)
        : slots_(0x10000, 0), ranks_(1) {
      ranks_[0].fill(Merge::kNever);
      for (uint32_t rank = 0; rank < merges.size(); ++rank) {
        const std::string_view left = vocabulary.pieces[static_cast<size_t>(merges[rank].left)];
        const std::string_view right = vocabulary.pieces[static_cast<size_t>(merges[rank].right)];
        if (right.size() <= 2 && static_cast<unsigned char>(right[0]) >= 0xC2) {
          lower(right, class_before(static_cast<unsigned char>(left.back())), rank);
        }
        if (left.size() <= 2 && is_continuation(left[0])) {
          lower(left, class_behind(static_cast<unsigned char>(right[0])), rank);
        }
      }
    }

    // The classes with which the part merges at a rank below this.
    uint32_t dangers(std::string_view part, uint32_t rank) const {
      uint32_t classes = 0;
      const std::array<uint32_t, kClasses>& ranks = ranks_[slots_[index(part)]];
      for (size_t i = 0; i < kClasses; ++i) classes |= (ranks[i] <= rank ? 1u : 0u) << i;
      return classes;
    }

   private:
    static size_t index(std::string_view part) {
      const auto first = static_cast<unsigned char>(part[0]);
      return part.size() == 1
                 ? first
                 : static_cast<size_t>(first) << 8 | static_cast<unsigned char>(part[1]);
    }
    void lower(std::string_view part, uint32_t touching, uint32_t rank) {
      uint16_t& slot = slots_[index(part)];
      if (slot == 0) {
        slot = static_cast<uint16_t>(ranks_.size());
        ranks_.emplace_back().fill(Merge::kNever);
      }
      uint32_t& lowest = ranks_[slot][static_cast<size_t>(std::countr_zero(touching))];
      lowest = std::min(lowest, rank);
    }

    std::vector<uint16_t> slots_;  // by index(part); 0: no merges
    std::vector<std::array<uint32_t, kClasses>> ranks_;
  };

  // What the two or three bytes of a character become, and the highest rank on the way there.
  static Merge merge_alone(std::string_view piece, const MergeTable& table,
                           const std::array<int32_t, 256>& byte_ids) {
    const auto id = [&](size_t i) { return byte_ids[static_cast<unsigned char>(piece[i])]; };
    const Merge left = table.find(id(0), id(1));
    if (piece.size() == 2) return left;
    const Merge right = table.find(id(1), id(2));
    Merge all =
        left.priority <= right.priority ? table.find(left.id, id(2)) : table.find(id(0), right.id);
    all.priority = std::max(all.priority, std::min(left.priority, right.priority));
    return all;
  }

  struct Character {
    int32_t id = kNoToken;
    uint32_t dangers = 0;  // classes of neighbours beside which it must begin as bytes
  };
  std::vector<Character> characters_;  // by code point
};

void emit(const std::vector<Symbol>& symbols, int32_t unknown, std::vector<int32_t>& out) {
  for (const Symbol& symbol : symbols) {
    const int32_t id = symbol.id != kNoToken ? symbol.id : unknown;
    if (id != kNoToken) out.push_back(id);
  }
}

// Where the spec ignores merges, a word that is a piece is taken as it is.
bool takes_whole(const Vocabulary& vocabulary, const TokenizerSpec& spec, std::string_view word,
                 std::vector<int32_t>& out) {
  if (!spec.ignore_merges) return false;
  const int32_t id = vocabulary.find(word);
  if (id == kNoToken) return false;
  out.push_back(id);
  return true;
}

class ByteBpe : public WordModel {
 public:
  ByteBpe(const Vocabulary& vocabulary, const TokenizerSpec& spec)
      : ByteBpe(vocabulary, spec, resolve_merges(vocabulary, spec, true)) {}

  void encode(std::string_view word, WordScratch& scratch,
              std::vector<int32_t>& out) const override {
    if (takes_whole(vocabulary_, spec_, word, out)) return;
    std::vector<Symbol>& symbols = scratch.symbols;
    symbols.clear();
    const auto byte = [&](size_t at) { return static_cast<unsigned char>(word[at]); };
    for (uint32_t at = 0; at < word.size();) {
      char32_t c = 0;
      if (const auto length = static_cast<uint32_t>(short_character(word.substr(at), c))) {
        const size_t end = at + length;
        const uint32_t classes = (at > 0 ? class_before(byte(at - 1)) : 0) |
                                 (end < word.size() ? class_behind(byte(end)) : 0);
        if (const int32_t id = characters_.find(c, classes); id != kNoToken) {
          symbols.push_back({id, at, length});
          at += length;
          continue;
        }
      }
      symbols.push_back({byte_ids_[byte(at)], at, 1});
      ++at;
    }
    merge_word(scratch, [&](const Symbol& a, const Symbol& b) { return table_.find(a.id, b.id); });
    emit(symbols, spec_.special.unk, out);
  }

 private:
  ByteBpe(const Vocabulary& vocabulary, const TokenizerSpec& spec,
          const std::vector<MergeIds>& merges)
      : vocabulary_(vocabulary),
        spec_(spec),
        table_(make_table(merges)),
        byte_ids_(find_bytes(vocabulary)),
        characters_(vocabulary, merges, table_, byte_ids_) {}

  static std::array<int32_t, 256> find_bytes(const Vocabulary& vocabulary) {
    std::array<int32_t, 256> ids;
    for (size_t byte = 0; byte < 256; ++byte) {
      const char c = static_cast<char>(byte);
      ids[byte] = vocabulary.find({&c, 1});
    }
    return ids;
  }

  const Vocabulary& vocabulary_;
  const TokenizerSpec& spec_;
  MergeTable table_;
  std::array<int32_t, 256> byte_ids_;
  WholeCharacters characters_;
};

// Over characters. The first is looked up as it is, later ones with spec.continuation before them,
// the last one with spec.word_end behind it.
class CharacterBpe : public WordModel {
 public:
  CharacterBpe(const Vocabulary& vocabulary, const TokenizerSpec& spec)
      : vocabulary_(vocabulary),
        spec_(spec),
        table_(make_table(resolve_merges(vocabulary, spec, false))),
        byte_ids_(byte_piece_ids(vocabulary)) {}

  void encode(std::string_view word, WordScratch& scratch,
              std::vector<int32_t>& out) const override {
    if (takes_whole(vocabulary_, spec_, word, out)) return;
    std::vector<Symbol>& symbols = scratch.symbols;
    symbols.clear();
    bool after_unknown = false;
    for (size_t at = 0; at < word.size();) {
      const auto length = static_cast<size_t>(decode_utf8(word, at).length);
      const std::string_view character = word.substr(at, length);
      const int32_t id = find(character, at == 0, at + length == word.size(), scratch.text);
      at += length;
      if (id != kNoToken) {
        symbols.push_back({id, 0, 0});
        after_unknown = false;
      } else if (push_bytes(character, symbols)) {
        after_unknown = false;
      } else {
        if (!after_unknown || !spec_.fuse_unknown) symbols.push_back({spec_.special.unk, 0, 0});
        after_unknown = true;
      }
    }
    merge_word(scratch, [&](const Symbol& a, const Symbol& b) { return table_.find(a.id, b.id); });
    emit(symbols, kNoToken, out);
  }

 private:
  int32_t find(std::string_view character, bool first, bool last, std::string& buffer) const {
    if ((first || spec_.continuation.empty()) && (!last || spec_.word_end.empty())) {
      return vocabulary_.find(character);
    }
    buffer.clear();
    if (!first) buffer += spec_.continuation;
    buffer += character;
    if (last) buffer += spec_.word_end;
    return vocabulary_.find(buffer);
  }
  bool push_bytes(std::string_view character, std::vector<Symbol>& symbols) const {
    if (!spec_.byte_fallback) return false;
    for (const char c : character) {
      if (byte_ids_[static_cast<unsigned char>(c)] == kNoToken) return false;
    }
    for (const char c : character) {
      symbols.push_back({byte_ids_[static_cast<unsigned char>(c)], 0, 0});
    }
    return true;
  }

  const Vocabulary& vocabulary_;
  const TokenizerSpec& spec_;
  MergeTable table_;
  std::vector<int32_t> byte_ids_;
};

// A pair joins where the joined text is a piece: the best score first (SentencePiece, over
// characters) or the lowest id (tiktoken, over bytes).
class PieceBpe : public WordModel {
 public:
  PieceBpe(const Vocabulary& vocabulary, const TokenizerSpec& spec)
      : vocabulary_(vocabulary), spec_(spec), byte_ids_(byte_piece_ids(vocabulary)) {
    priorities_.resize(vocabulary.pieces.size());
    for (size_t id = 0; id < priorities_.size(); ++id) {
      const TokenKind kind = spec.kinds.empty() ? TokenKind::kNormal : spec.kinds[id];
      const bool spells_text = kind == TokenKind::kNormal || kind == TokenKind::kUserDefined ||
                               kind == TokenKind::kUnused;
      priorities_[id] = spells_text ? priority(id) : Merge::kNever;
      longest_ = std::max(longest_, vocabulary.pieces[id].size());
    }
  }

  void encode(std::string_view word, WordScratch& scratch,
              std::vector<int32_t>& out) const override {
    std::vector<Symbol>& symbols = scratch.symbols;
    symbols.clear();
    for (uint32_t at = 0; at < word.size();) {
      const uint32_t length =
          spec_.merge_by_id ? 1u : static_cast<uint32_t>(decode_utf8(word, at).length);
      symbols.push_back({vocabulary_.find(word.substr(at, length)), at, length});
      at += length;
    }
    merge_word(scratch, [&](const Symbol& a, const Symbol& b) -> Merge {
      if (a.size + b.size > longest_) return {};
      const int32_t id = vocabulary_.find(word.substr(a.begin, a.size + b.size));
      if (id == kNoToken) return {};
      return {priorities_[static_cast<size_t>(id)], id};
    });
    for (const Symbol& symbol : symbols) {
      if (symbol.id != kNoToken) {
        out.push_back(symbol.id);
      } else {
        push_unknown(word.substr(symbol.begin, symbol.size), out);
      }
    }
  }

 private:
  uint32_t priority(size_t id) const {
    if (spec_.merge_by_id) return static_cast<uint32_t>(id);
    // The bits of a float, so turned that the highest score comes first as an unsigned number.
    const auto bits = std::bit_cast<uint32_t>(spec_.scores[id]);
    const uint32_t rising = (bits >> 31) != 0 ? ~bits : bits | 0x8000'0000u;
    return std::min(~rising, Merge::kNever - 1);
  }
  void push_unknown(std::string_view character, std::vector<int32_t>& out) const {
    for (const char c : character) {
      const int32_t byte = byte_ids_[static_cast<unsigned char>(c)];
      if (byte == kNoToken) {
        if (spec_.special.unk != kNoToken) out.push_back(spec_.special.unk);
        return;
      }
      out.push_back(byte);
    }
  }

  const Vocabulary& vocabulary_;
  const TokenizerSpec& spec_;
  std::vector<int32_t> byte_ids_;
  std::vector<uint32_t> priorities_;  // by id
  size_t longest_ = 0;                // piece, in bytes
};

}  // namespace

std::unique_ptr<WordModel> make_bpe(const Vocabulary& vocabulary, const TokenizerSpec& spec) {
  if (spec.merge_by_id) return std::make_unique<PieceBpe>(vocabulary, spec);
  if (spec.byte_level) return std::make_unique<ByteBpe>(vocabulary, spec);
  return std::make_unique<CharacterBpe>(vocabulary, spec);
}

std::unique_ptr<WordModel> make_piece_bpe(const Vocabulary& vocabulary, const TokenizerSpec& spec) {
  return std::make_unique<PieceBpe>(vocabulary, spec);
}

}  // namespace zhiyin
