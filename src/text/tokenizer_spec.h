// Everything that defines a tokenizer, in one neutral form: filled from tokenizer.json, from
// vocab.json + merges.txt, from vocab.txt or from GGUF metadata, and handed to make_tokenizer().
// The stages are those of Hugging Face's library: added tokens are cut out of the text, the rest is
// normalized, split into words, each word turned into pieces; decoding maps pieces back.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "text/string_table.h"

namespace zhiyin {

inline constexpr int32_t kNoToken = -1;

// As GGUF's tokenizer.ggml.token_type numbers them.
enum class TokenKind : uint8_t {
  kNormal = 1,
  kUnknown = 2,
  kControl = 3,      // never spells text; recognised only where special tokens are asked for
  kUserDefined = 4,  // literal text that is always one token
  kUnused = 5,
  kByte = 6,  // <0x41>
};

enum class TokenizerModel {
  kBpe,            // merges in order of rank
  kSentencePiece,  // BPE whose merges are the pieces themselves, in order of score
  kUnigram,        // most likely segmentation
  kWordPiece,      // longest match from the left
};

// The merges of a BPE, in order of rank: pieces left and right join to left + right.
struct MergeList {
  StringTable joined;
  std::vector<uint32_t> left_sizes;  // bytes of joined[i] that belong to the left piece
  void add(std::string_view left, std::string_view right) {
    joined.add(left, right);
    left_sizes.push_back(static_cast<uint32_t>(left.size()));
  }
  size_t size() const { return left_sizes.size(); }
};

// A token that is cut out of the text before anything else happens to it.
struct AddedToken {
  int32_t id = kNoToken;
  std::string content;
  bool special = false;      // only where EncodeOptions::parse_special
  bool lstrip = false;       // takes the white space on its left along
  bool rstrip = false;       // ... on its right
  bool single_word = false;  // not where a letter or digit touches it
  bool normalized = false;   // looked for in the normalized text
};

struct NormalizerStep {
  enum class Kind {
    kNfc,
    kNfd,
    kNfkc,
    kNfkd,
    kLowercase,
    kStripAccents,    // drop all marks
    kStrip,           // white space at strip_left / strip_right
    kReplace,         // regular expression pattern -> content
    kReplaceLiteral,  // text pattern -> content
    kPrepend,         // content before a text that is not empty
    kBert,            // clean_text, ideographs, strip_accents, lowercase
    kPrecompiled,     // content: SentencePiece's precompiled character map
    kCollapseSpaces,  // SentencePiece's remove_extra_whitespaces: trims, and runs become one
  };
  Kind kind;
  std::string pattern;
  std::string content;
  bool strip_left = false, strip_right = false;
  bool clean_text = false, ideographs = false, strip_accents = false, lowercase = false;
};

enum class SplitBehavior {
  kRemoved,
  kIsolated,
  kContiguous,  // isolated, but matches that touch become one
  kMergedWithPrevious,
  kMergedWithNext,
};

struct PreTokenizerStep {
  enum class Kind {
    kSplit,         // cut every word where the regular expression matches
    kPrependSpace,  // before every word that does not begin with a space (ByteLevel)
    kMetaspace,     // spaces become ▁, and one is put before a word; see prepend
  };
  enum class Prepend { kNever, kFirst, kAlways };  // kFirst: only at the start of the whole text
  Kind kind;
  std::string pattern;  // kSplit
  SplitBehavior behavior = SplitBehavior::kIsolated;
  bool invert = false;  // what lies between the matches is what counts as matched
  Prepend prepend = Prepend::kAlways;
};

// How the text of one piece becomes bytes of output.
struct DecoderStep {
  enum class Kind {
    kByteLevel,     // GPT-2's printable alphabet back to bytes
    kReplace,       // text pattern -> content
    kByteFallback,  // <0x41> -> A
    kWordPiece,     // "##x" -> "x", "x" -> " x"; cleanup drops the space before punctuation
    kWordEnd,       // pattern (such as </w>) at the end -> " "
  };
  Kind kind;
  std::string pattern;
  std::string content;
  bool cleanup = false;
};

// Ids of tokens with a role; kNoToken where the tokenizer has none.
struct SpecialTokens {
  int32_t bos = kNoToken, eos = kNoToken, eot = kNoToken, eom = kNoToken, unk = kNoToken;
  int32_t sep = kNoToken, pad = kNoToken, cls = kNoToken, mask = kNoToken;
  int32_t fim_prefix = kNoToken, fim_suffix = kNoToken, fim_middle = kNoToken;
  int32_t fim_pad = kNoToken, fim_repo = kNoToken, fim_file = kNoToken;
};

// A token that ends generation, and what says so.
struct StopToken {
  int32_t id;
  std::string origin;  // such as "tokenizer.ggml.eos_token_id" or "its text <|im_end|>"
  bool operator==(const StopToken&) const = default;
};

struct TokenizerSpec {
  TokenizerModel model = TokenizerModel::kBpe;

  // By id, as the file spells them. An empty piece is a hole that nothing encodes to.
  StringTable pieces;
  std::vector<TokenKind> kinds;  // by id, or empty: all normal
  std::vector<float> scores;     // by id, for kSentencePiece and kUnigram

  // kBpe
  MergeList merges;
  bool byte_level = false;     // pieces are bytes in GPT-2's printable alphabet
  bool ignore_merges = false;  // a word that is a piece is taken whole
  std::string word_end;        // suffix of the last piece of a word, such as </w>
  // kBpe without merges (tiktoken's way): a pair joins where the joined text is a piece, lowest id
  // first.
  bool merge_by_id = false;
  // kBpe and kWordPiece: prefix of the pieces inside a word, such as ##
  std::string continuation;
  // kBpe and kUnigram: characters that are no piece become <0x..> pieces
  bool byte_fallback = false;
  bool fuse_unknown = false;    // neighbouring unknowns become one
  size_t max_word_chars = 100;  // kWordPiece: longer words are unknown

  std::vector<AddedToken> added;
  std::vector<NormalizerStep> normalizer;
  std::vector<PreTokenizerStep> pre_tokenizer;
  std::vector<DecoderStep> decoder;
  bool strip_leading_space = false;   // decode() drops one space at the start of the text
  bool strip_trailing_space = false;  // ... at its end

  SpecialTokens special;
  std::vector<int32_t> prefix, suffix;  // put around the text by EncodeOptions::add_special
  std::vector<StopToken> stop;
  // Things that a user should know of, such as a GGUF that names no pre-tokenizer.
  std::vector<std::string> warnings;
};

}  // namespace zhiyin
