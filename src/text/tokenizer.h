// Text to token ids and back, for every kind of vocabulary that zhiyin knows. Reads no files:
// spec_json.h and spec_gguf.h make the TokenizerSpec.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "text/tokenizer_spec.h"

namespace zhiyin {

struct EncodeOptions {
  bool add_special = false;  // put the tokens round the text that the tokenizer prescribes (BOS …)
  bool parse_special = false;  // recognise control tokens such as <|im_start|> written in the text
};

// Immutable after construction; all methods may be called from several threads at once.
class Tokenizer {
 public:
  // Throws kFailed where the parts of the spec contradict each other, kUnsupported for what no
  // tokenizer model here can do.
  explicit Tokenizer(TokenizerSpec spec);
  ~Tokenizer();
  Tokenizer(const Tokenizer&) = delete;
  Tokenizer& operator=(const Tokenizer&) = delete;

  // Any bytes are taken. User-defined tokens are always recognised, control tokens only with
  // parse_special. Time is O(n log n) whatever the text.
  std::vector<int32_t> encode(std::string_view text, EncodeOptions options = {}) const;

  // The text of the ids, from its very beginning (a space that the tokenizer puts before the text
  // is dropped again). Always valid UTF-8: bytes that are not become U+FFFD. For text that goes on
  // or comes bit by bit, see StreamDecoder.
  std::string decode(std::span<const int32_t> ids, bool skip_special = true) const;

  // The bytes that a token adds when decoding, which need not be whole characters. Valid as long as
  // the tokenizer. Empty for ids past the vocabulary, which models with padded heads can produce.
  std::string_view token_bytes(int32_t id) const;

  // Ids are 0 ... vocab_size() - 1.
  int32_t vocab_size() const;
  // The id of an added token with exactly this content, or else of the piece spelled so: bytes as
  // they are in the text for byte-level vocabularies, as in the file for all others.
  std::optional<int32_t> find(std::string_view piece) const;
  TokenKind kind(int32_t id) const;
  // kControl or kUnknown: what decode(..., skip_special) leaves out.
  bool is_special(int32_t id) const;

  const SpecialTokens& special() const;
  // What add_special puts before and behind a text.
  const std::vector<int32_t>& prefix() const;
  const std::vector<int32_t>& suffix() const;
  // Tokens that end generation, with the origin of each, in the order of ids.
  const std::vector<StopToken>& stop_tokens() const;
  const std::vector<std::string>& warnings() const;
  // Does decode() drop a space at the start, or at the end?
  bool strips_leading_space() const;
  bool strips_trailing_space() const;

 private:
  struct Parts;
  struct Scratch;
  class Lease;

  void encode_fragment(std::string_view text, bool first, bool parse_special, Scratch& scratch,
                       std::vector<int32_t>& out) const;
  void encode_normalized(std::string_view text, bool first, Scratch& scratch,
                         std::vector<int32_t>& out) const;

  std::unique_ptr<Parts> parts_;
};

std::unique_ptr<Tokenizer> make_tokenizer(TokenizerSpec spec);

// Decodes token by token. What add() returns is always whole UTF-8 characters; the beginning of one
// waits for its end. Bytes that can never become a character turn into U+FFFD.
class StreamDecoder {
 public:
  struct Options {
    bool skip_special = true;
    bool at_text_start = false;  // drop the space that the tokenizer puts before a text
  };
  // The tokenizer must outlive the decoder.
  explicit StreamDecoder(const Tokenizer& tokenizer) : StreamDecoder(tokenizer, Options{}) {}
  StreamDecoder(const Tokenizer& tokenizer, Options options);

  // The text that became complete with this token; often empty.
  std::string add(int32_t id);
  // What remains, an incomplete character as U+FFFD. The decoder is as new afterwards.
  std::string flush();

 private:
  const Tokenizer* tokenizer_;
  Options options_;
  bool at_start_;
  std::string held_;
};

}  // namespace zhiyin
