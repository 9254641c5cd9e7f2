#include "text/gguf_fields.h"

#include <algorithm>
#include <string>
#include <utility>

#include "base/error.h"

namespace zhiyin {
namespace {

using Normalizer = NormalizerStep::Kind;
using PreTokenizer = PreTokenizerStep::Kind;

constexpr std::string_view kMetaspace = "▁";
// Below every score of a piece that merges make.
constexpr float kUnmerged = -1e6f;

std::optional<int64_t> id_of(int32_t id) {
  return id == kNoToken ? std::nullopt : std::optional<int64_t>(id);
}

// What is put round a text can be one BOS before and one EOS behind it.
void set_surroundings(const TokenizerSpec& spec, GgufTokenizerFields& fields) {
  const SpecialTokens& special = spec.special;
  // Without tokenizer_config.json the token that is put there is the one, if nothing else names it.
  const auto role = [](int32_t named, const std::vector<int32_t>& put) {
    return named == kNoToken && put.size() == 1 ? put[0] : named;
  };
  const auto adds = [](const std::vector<int32_t>& put, int32_t token, const char* where,
                       const char* name) {
    const bool fits = put.empty() || (put.size() == 1 && put[0] == token);
    check(fits, ErrorCode::kUnsupported, "tokenizer: puts ", put.size(), " tokens ", where,
          " a text; a GGUF can only say whether the ", name, " token is put there");
    return !put.empty();
  };
  const int32_t bos = role(special.bos, spec.prefix), eos = role(special.eos, spec.suffix);
  fields.add_bos = adds(spec.prefix, bos, "before", "beginning-of-sequence");
  fields.add_eos = adds(spec.suffix, eos, "behind", "end-of-sequence");
  fields.bos = id_of(bos);
  fields.eos = id_of(eos);
  fields.eot = id_of(special.eot);
  fields.eom = id_of(special.eom);
  fields.unknown = id_of(special.unk);
  fields.padding = id_of(special.pad);
  fields.separator = id_of(special.sep);
  fields.mask = id_of(special.mask);
}

// Whether spaces become ▁, and one is put before the text; nullopt for any other treatment.
std::optional<bool> metaspace_prefix(const TokenizerSpec& spec) {
  bool replaces = false, prepends = false;
  for (const NormalizerStep& step : spec.normalizer) {
    const bool space = step.pattern == " " && step.content == kMetaspace;
    if (step.kind == Normalizer::kPrepend && step.content == kMetaspace && !prepends) {
      prepends = true;
    } else if (step.kind == Normalizer::kReplaceLiteral && space && !replaces) {
      replaces = true;
    } else {
      return std::nullopt;
    }
  }
  for (const PreTokenizerStep& step : spec.pre_tokenizer) {
    if (step.kind != PreTokenizer::kMetaspace || replaces) return std::nullopt;
    replaces = true;
    prepends = step.prepend != PreTokenizerStep::Prepend::kNever;
  }
  return replaces ? std::optional(prepends) : std::nullopt;
}

// SentencePiece joins the pair whose joined piece has the highest score; the merges came from such
// scores, so the first merge that makes a piece stands for its score.
std::vector<float> scores_of_merges(const TokenizerSpec& spec, size_t size) {
  std::vector<float> scores(size, kUnmerged);
  StringIndex index(spec.pieces, spec.pieces.size());
  for (size_t id = 0; id < spec.pieces.size(); ++id) index.insert(static_cast<int32_t>(id));
  for (size_t rank = spec.merges.size(); rank-- > 0;) {
    const int32_t id = index.find(spec.merges.joined[rank]);
    if (id >= 0) scores[static_cast<size_t>(id)] = -static_cast<float>(rank);
  }
  return scores;
}

void set_byte_level(const TokenizerSpec& spec, GgufTokenizer& result) {
  const auto name = gguf_pre_tokenizer_name(spec);
  if (!name) {
    std::string patterns;
    for (const PreTokenizerStep& step : spec.pre_tokenizer) patterns += "\n  " + step.pattern;
    fail(ErrorCode::kUnsupported,
         "tokenizer: no GGUF pre-tokenizer normalizes and splits text as this one does",
         patterns.empty() ? "" : " (", patterns, patterns.empty() ? "" : ")",
         "; a Hugging Face folder can hold the model (merge)");
  }
  result.fields.model = "gpt2";
  result.fields.pre = *name;
  check(spec.merges.size() > 0, ErrorCode::kUnsupported,
        "tokenizer: has no merges; a GGUF needs them");
}

void set_sentencepiece(const TokenizerSpec& spec, GgufTokenizer& result) {
  const auto prefix = metaspace_prefix(spec);
  check(prefix.has_value() && spec.byte_fallback, ErrorCode::kUnsupported,
        "tokenizer: BPE that is neither byte-level nor SentencePiece's cannot be put into a GGUF");
  result.fields.model = "llama";
  result.fields.pre = "default";
  result.fields.add_space_prefix = *prefix;
  result.fields.scores = scores_of_merges(spec, result.fields.tokens.size());
}

}  // namespace

GgufTokenizer gguf_tokenizer(const TokenizerSpec& spec, int64_t vocab_size) {
  check(spec.model == TokenizerModel::kBpe, ErrorCode::kUnsupported,
        "tokenizer: only BPE tokenizers can be put into a GGUF so far");
  const size_t own = spec.pieces.size(), size = static_cast<size_t>(vocab_size);
  check(own <= size, ErrorCode::kFailed, "tokenizer: has ", own, " tokens, the model's embedding ",
        size, " rows; the two do not belong together");
  GgufTokenizer result;
  result.texts = std::make_unique<StringTable>();
  StringTable& texts = *result.texts;
  texts.reserve(size + spec.merges.size(), 2 * spec.pieces.bytes());
  GgufTokenizerFields& fields = result.fields;
  // The text of an added token, where its piece is spelled otherwise.
  std::vector<const AddedToken*> added(own, nullptr);
  for (const AddedToken& token : spec.added) added[static_cast<size_t>(token.id)] = &token;
  for (size_t id = 0; id < size; ++id) {
    const bool hole = id >= own || spec.pieces[id].empty();
    texts.add(hole                   ? cat("[PAD", id, "]")
              : added[id] != nullptr ? added[id]->content
                                     : std::string(spec.pieces[id]));
    TokenKind kind = hole                 ? TokenKind::kUnused
                     : spec.kinds.empty() ? TokenKind::kNormal
                                          : spec.kinds[id];
    if (static_cast<int64_t>(id) == spec.special.unk && !spec.byte_level) {
      kind = TokenKind::kUnknown;
    }
    fields.token_types.push_back(static_cast<int64_t>(kind));
  }
  const size_t merges = spec.byte_level ? spec.merges.size() : 0;
  for (size_t i = 0; i < merges; ++i) {
    const std::string_view joined = spec.merges.joined[i];
    const size_t left = spec.merges.left_sizes[i];
    texts.add(cat(joined.substr(0, left), " "), joined.substr(left));
  }
  // Views only now: the table grew until here.
  for (size_t id = 0; id < size; ++id) fields.tokens.push_back(texts[id]);
  for (size_t i = 0; i < merges; ++i) fields.merges.push_back(texts[size + i]);
  set_surroundings(spec, fields);
  if (spec.byte_level) {
    set_byte_level(spec, result);
  } else {
    set_sentencepiece(spec, result);
  }
  return result;
}

}  // namespace zhiyin
