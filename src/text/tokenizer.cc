#include "text/tokenizer.h"

#include <algorithm>
#include <limits>
#include <mutex>
#include <utility>

#include "base/utf8.h"
#include "text/added_tokens.h"
#include "text/normalizer.h"
#include "text/piece_text.h"
#include "text/pretokenizer.h"
#include "text/word_cache.h"
#include "text/word_model.h"

namespace zhiyin {
namespace {

// The pieces as words spell them.
StringTable pieces_in_words(const TokenizerSpec& spec) {
  if (!spec.byte_level) return spec.pieces;
  StringTable table;
  table.reserve(spec.pieces.size(), spec.pieces.bytes());
  std::string bytes;
  for (size_t id = 0; id < spec.pieces.size(); ++id) {
    const TokenKind kind = spec.kinds.empty() ? TokenKind::kNormal : spec.kinds[id];
    const bool literal = kind == TokenKind::kControl || kind == TokenKind::kUserDefined;
    bytes.clear();
    if (literal || !append_byte_level(bytes, spec.pieces[id])) bytes = spec.pieces[id];
    table.add(bytes);
  }
  return table;
}

void check_spec(const TokenizerSpec& spec) {
  const size_t size = spec.pieces.size();
  check(size > 0, ErrorCode::kFailed, "tokenizer: the vocabulary is empty");
  check(size <= std::numeric_limits<int32_t>::max(), ErrorCode::kUnsupported, "tokenizer: ", size,
        " pieces");
  check(spec.kinds.empty() || spec.kinds.size() == size, ErrorCode::kFailed, "tokenizer: ", size,
        " pieces but ", spec.kinds.size(), " token types");
  const bool needs_scores =
      spec.model == TokenizerModel::kSentencePiece || spec.model == TokenizerModel::kUnigram;
  check(!needs_scores || spec.scores.size() == size, ErrorCode::kFailed, "tokenizer: ", size,
        " pieces but ", spec.scores.size(), " scores");
  const auto check_id = [&](int32_t id, const char* what) {
    check(id >= kNoToken && id < static_cast<int32_t>(size), ErrorCode::kFailed,
          "tokenizer: ", what, " is token ", id, ", but the vocabulary ends at ", size - 1);
  };
  for (const AddedToken& token : spec.added) check_id(token.id, "an added token");
  for (const int32_t id : spec.prefix) check_id(id, "a token before the text");
  for (const int32_t id : spec.suffix) check_id(id, "a token behind the text");
  for (const StopToken& token : spec.stop) check_id(token.id, "a stop token");
  check_id(spec.special.unk, "the unknown token");
}

std::unique_ptr<WordModel> make_model(const Vocabulary& vocabulary, const TokenizerSpec& spec) {
  switch (spec.model) {
    case TokenizerModel::kBpe:
      return make_bpe(vocabulary, spec);
    case TokenizerModel::kSentencePiece:
      return make_piece_bpe(vocabulary, spec);
    case TokenizerModel::kUnigram:
      return make_unigram(vocabulary, spec);
    case TokenizerModel::kWordPiece:
      return make_wordpiece(vocabulary, spec);
  }
  fail(ErrorCode::kUnsupported, "tokenizer: unknown model");
}

// Models that work on whole texts may work on words where no piece reaches from the end of one
// word into the next: then no merge can, either.
bool can_cut_at_metaspace(const TokenizerSpec& spec) {
  if (!spec.pre_tokenizer.empty() || spec.byte_level || spec.model == TokenizerModel::kWordPiece) {
    return false;
  }
  for (size_t id = 0; id < spec.pieces.size(); ++id) {
    const TokenKind kind = spec.kinds.empty() ? TokenKind::kNormal : spec.kinds[id];
    if (kind == TokenKind::kControl) continue;
    const std::string_view piece = spec.pieces[id];
    for (size_t at = piece.find(pattern::kMetaspace); at != std::string_view::npos;
         at = piece.find(pattern::kMetaspace, at + 3)) {
      const bool follows = at >= 3 && piece.substr(at - 3, 3) == pattern::kMetaspace;
      if (at > 0 && !follows) return false;
    }
  }
  return true;
}

std::vector<PreTokenizerStep> pre_tokenizer_of(const TokenizerSpec& spec) {
  if (!can_cut_at_metaspace(spec)) return spec.pre_tokenizer;
  PreTokenizerStep words{};
  words.kind = PreTokenizerStep::Kind::kSplit;
  words.pattern = pattern::kMetaspaceWords;
  return {words};
}

std::vector<const AddedToken*> select_added(const TokenizerSpec& spec, bool normalized) {
  std::vector<const AddedToken*> tokens;
  for (const AddedToken& token : spec.added) {
    if ((token.normalized && !spec.normalizer.empty()) == normalized) tokens.push_back(&token);
  }
  return tokens;
}

}  // namespace

struct Tokenizer::Scratch {
  WordScratch word;
  WordCache cache;
  Words words;
  std::string normalized;
};

struct Tokenizer::Parts {
  explicit Parts(TokenizerSpec given)
      : spec(std::move(given)),
        vocabulary(pieces_in_words(spec)),
        output(spec),
        added(select_added(spec, false)),
        normalizer(spec.normalizer),
        pre_tokenizer(pre_tokenizer_of(spec)) {
    // A text is spelled with normal pieces; a control token of the same spelling comes second.
    for (const bool normal : {true, false}) {
      for (size_t id = 0; id < vocabulary.pieces.size(); ++id) {
        const TokenKind kind = spec.kinds.empty() ? TokenKind::kNormal : spec.kinds[id];
        if ((kind == TokenKind::kNormal) == normal && !vocabulary.pieces[id].empty()) {
          vocabulary.index.insert(static_cast<int32_t>(id));
        }
      }
    }
    model = make_model(vocabulary, spec);
    normalize_added();
    // What is needed no longer, and large.
    spec.merges = {};
    spec.pieces = {};
  }

  // Tokens that are looked for in normalized text are normalized themselves.
  void normalize_added() {
    std::string buffer;
    for (AddedToken token : spec.added) {
      if (!token.normalized || spec.normalizer.empty()) continue;
      token.content = std::string(normalizer.apply(token.content, buffer));
      normalized_tokens.push_back(std::move(token));
    }
    std::vector<const AddedToken*> tokens;
    for (const AddedToken& token : normalized_tokens) tokens.push_back(&token);
    added_normalized.emplace(tokens);
  }

  TokenizerSpec spec;
  Vocabulary vocabulary;
  PieceText output;
  AddedTokens added;
  Normalizer normalizer;
  PreTokenizer pre_tokenizer;
  std::unique_ptr<WordModel> model;
  std::vector<AddedToken> normalized_tokens;
  std::optional<AddedTokens> added_normalized;

  std::mutex mutex;
  std::vector<std::unique_ptr<Scratch>> idle;  // one for every thread that ever encoded at once
};

// Scratch memory for the time of one call, with the words that it remembers.
class Tokenizer::Lease {
 public:
  explicit Lease(Parts& parts) : parts_(parts) {
    const std::lock_guard lock(parts_.mutex);
    if (!parts_.idle.empty()) {
      scratch_ = std::move(parts_.idle.back());
      parts_.idle.pop_back();
    }
  }
  ~Lease() {
    const std::lock_guard lock(parts_.mutex);
    parts_.idle.push_back(std::move(scratch_));
  }
  Lease(const Lease&) = delete;
  Lease& operator=(const Lease&) = delete;
  Scratch& operator*() {
    if (scratch_ == nullptr) scratch_ = std::make_unique<Scratch>();
    return *scratch_;
  }

 private:
  Parts& parts_;
  std::unique_ptr<Scratch> scratch_;
};

Tokenizer::Tokenizer(TokenizerSpec spec) {
  check_spec(spec);
  parts_ = std::make_unique<Parts>(std::move(spec));
}

Tokenizer::~Tokenizer() = default;

std::vector<int32_t> Tokenizer::encode(std::string_view text, EncodeOptions options) const {
  check(text.size() < std::numeric_limits<uint32_t>::max(), ErrorCode::kUnsupported,
        "tokenizer: a text of ", text.size(), " bytes; split it below 4 GB");
  Lease lease(*parts_);
  Scratch& scratch = *lease;
  std::vector<int32_t> out;
  out.reserve(text.size() / 4 + 8);
  if (options.add_special) out = parts_->spec.prefix;
  for (size_t at = 0; at < text.size();) {
    const AddedTokens::Hit hit = parts_->added.find(text, at, options.parse_special);
    const size_t end = std::min(hit.begin, text.size());
    if (end > at) {
      encode_fragment(text.substr(at, end - at), at == 0, options.parse_special, scratch, out);
    }
    if (hit.token != nullptr) out.push_back(hit.token->id);
    at = hit.token != nullptr ? hit.end : text.size();
  }
  if (options.add_special) {
    out.insert(out.end(), parts_->spec.suffix.begin(), parts_->spec.suffix.end());
  }
  return out;
}

void Tokenizer::encode_fragment(std::string_view text, bool first, bool parse_special,
                                Scratch& scratch, std::vector<int32_t>& out) const {
  text = parts_->normalizer.apply(text, scratch.normalized);
  for (size_t at = 0; at < text.size();) {
    const AddedTokens::Hit hit = parts_->added_normalized->find(text, at, parse_special);
    const size_t end = std::min(hit.begin, text.size());
    if (end > at) encode_normalized(text.substr(at, end - at), first && at == 0, scratch, out);
    if (hit.token != nullptr) out.push_back(hit.token->id);
    at = hit.token != nullptr ? hit.end : text.size();
  }
}

void Tokenizer::encode_normalized(std::string_view text, bool first, Scratch& scratch,
                                  std::vector<int32_t>& out) const {
  for (size_t at = 0; at < text.size();) {
    at = parts_->pre_tokenizer.split(text, at, first, scratch.words);
    const std::string_view words = scratch.words.text;
    for (const TextSpan& span : scratch.words.spans) {
      const size_t size = span.end - span.begin;
      if (size > WordCache::kMaxBytes) {
        parts_->model->encode(words.substr(span.begin, size), scratch.word, out);
        continue;
      }
      const WordCache::Key key = WordCache::key_of(words, span.begin, size);
      if (scratch.cache.find(key, out)) continue;
      const size_t start = out.size();
      parts_->model->encode(words.substr(span.begin, size), scratch.word, out);
      scratch.cache.put(key, out.data() + start, out.size() - start);
    }
  }
}

std::string Tokenizer::decode(std::span<const int32_t> ids, bool skip_special) const {
  std::string text;
  bool at_start = true;
  for (const int32_t id : ids) {
    if (skip_special && is_special(id)) continue;
    std::string_view bytes = token_bytes(id);
    if (at_start && parts_->spec.strip_leading_space && bytes.starts_with(' ')) {
      bytes.remove_prefix(1);
    }
    at_start = false;
    text += bytes;
  }
  if (parts_->spec.strip_trailing_space && text.ends_with(' ')) text.pop_back();
  return find_invalid_utf8(text) == std::string::npos ? text : sanitize_utf8(text);
}

std::string_view Tokenizer::token_bytes(int32_t id) const {
  return id >= 0 && id < vocab_size() ? parts_->output[static_cast<size_t>(id)]
                                      : std::string_view();
}

int32_t Tokenizer::vocab_size() const {
  return static_cast<int32_t>(parts_->vocabulary.pieces.size());
}

std::optional<int32_t> Tokenizer::find(std::string_view piece) const {
  for (const AddedToken& token : parts_->spec.added) {
    if (token.content == piece) return token.id;
  }
  const int32_t id = parts_->vocabulary.find(piece);
  return id == kNoToken ? std::nullopt : std::optional(id);
}

TokenKind Tokenizer::kind(int32_t id) const {
  if (id < 0 || id >= vocab_size()) return TokenKind::kUnused;
  return parts_->spec.kinds.empty() ? TokenKind::kNormal
                                    : parts_->spec.kinds[static_cast<size_t>(id)];
}

bool Tokenizer::is_special(int32_t id) const {
  const TokenKind kind_of_id = kind(id);
  return kind_of_id == TokenKind::kControl || kind_of_id == TokenKind::kUnknown;
}

const SpecialTokens& Tokenizer::special() const { return parts_->spec.special; }
const std::vector<int32_t>& Tokenizer::prefix() const { return parts_->spec.prefix; }
const std::vector<int32_t>& Tokenizer::suffix() const { return parts_->spec.suffix; }
const std::vector<StopToken>& Tokenizer::stop_tokens() const { return parts_->spec.stop; }
const std::vector<std::string>& Tokenizer::warnings() const { return parts_->spec.warnings; }
bool Tokenizer::strips_leading_space() const { return parts_->spec.strip_leading_space; }
bool Tokenizer::strips_trailing_space() const { return parts_->spec.strip_trailing_space; }

std::unique_ptr<Tokenizer> make_tokenizer(TokenizerSpec spec) {
  return std::make_unique<Tokenizer>(std::move(spec));
}

StreamDecoder::StreamDecoder(const Tokenizer& tokenizer, Options options)
    : tokenizer_(&tokenizer), options_(options), at_start_(options.at_text_start) {}

std::string StreamDecoder::add(int32_t id) {
  if (options_.skip_special && tokenizer_->is_special(id)) return {};
  std::string_view bytes = tokenizer_->token_bytes(id);
  if (at_start_ && tokenizer_->strips_leading_space() && bytes.starts_with(' ')) {
    bytes.remove_prefix(1);
  }
  at_start_ = false;
  held_ += bytes;
  const size_t incomplete = incomplete_utf8_suffix(held_);
  std::string ready = held_.substr(0, held_.size() - incomplete);
  held_.erase(0, ready.size());
  // A space that may turn out to be the last one waits, too.
  if (tokenizer_->strips_trailing_space() && held_.empty() && ready.ends_with(' ')) {
    ready.pop_back();
    held_ = " ";
  }
  return find_invalid_utf8(ready) == std::string::npos ? ready : sanitize_utf8(ready);
}

std::string StreamDecoder::flush() {
  std::string rest = std::exchange(held_, {});
  at_start_ = options_.at_text_start;
  if (tokenizer_->strips_trailing_space() && rest == " ") rest.clear();
  return sanitize_utf8(rest);
}

}  // namespace zhiyin
