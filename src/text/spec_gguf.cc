#include "text/spec_gguf.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "text/roles.h"
#include "text/scanner.h"

namespace zhiyin {
namespace {

constexpr std::string_view kMetaspace = "▁";

// The other patterns are in scanner.h.
constexpr char kFalconSymbols[] = R"([\p{P}\$\+<=>\^~\|`]+)";
constexpr char kDefaultSymbols[] = R"([\p{P}\$\+<=>\^~\|]+)";
constexpr char kThreeDigits[] = "[0-9][0-9][0-9]";
constexpr char kBloom[] = R"( ?[^(\s|.,!?…。，、।۔،)]+)";
constexpr char kJais2[] =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*)"
    R"(|\s*[\r\n]+|\s{512}(?!\S)|\s{256}(?!\S)|\s{128}(?!\S)|\s{64}(?!\S)|\s{32}(?!\S))"
    R"(|\s{16}(?!\S)|\s{8}(?!\S)|\s{4}(?!\S)|\s{1,2}(?!\S)|\s{1})";
constexpr char kBailing[] =
    R"('(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]++[\r\n]*)"
    R"(|\s*[\r\n]|\s+(?!\S)|\s+)";
constexpr char kMiniCpm5[] =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}+| ?[^\s\p{L}\p{N}]+[\r\n]*)"
    R"(|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr char kKimiHan[] = R"(\p{Han}+)";
constexpr char kExaoneMoe[] =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?(?:\p{L}\p{M}*(?: \p{L}\p{M}*)*)+|\p{N})"
    R"(| ?[^\s\p{L}\p{N}]+[\r\n/]?|\s*[\r\n]|\s+(?!\S)|\s+)";
constexpr char kTinyAyaDigits[] = R"(\d{1,3}(?=(?:\d{3})*\b))";

struct Family {
  std::vector<std::string_view> names;
  std::vector<const char*> patterns;  // each cuts what the ones before it left
  bool ignore_merges = false;
  bool add_bos = false;
  bool nfc = false;  // the model's own tokenizer composes characters first
};

// Names and patterns of the models' own tokenizers. Those that share a pattern share a line.
const std::vector<Family>& families() {
  static const std::vector<Family> kFamilies = {
      {{"default"}, {kDefaultSymbols, pattern::kGpt2, pattern::kDigits, kThreeDigits}},
      {{"gpt-2", "phi-2", "jina-es", "jina-de", "jina-v2-es", "jina-v2-de", "jina-v1-en",
        "jina-v2-code", "roberta-bpe", "gigachat", "a.x-4.0", "mellum", "modern-bert", "exaone4",
        "mpt", "olmo", "jais", "trillion", "granite-docling"},
       {pattern::kGpt2}},
      {{"qwen2"}, {pattern::kQwen2}, false, false, true},
      {{"qwen35"}, {pattern::kQwen35}, false, false, true},
      {{"deepseek-r1-qwen", "megrez", "kormo", "f2llmv2", "stablelm2", "hunyuan", "solar-open",
        "grok-2"},
       {pattern::kQwen2}},
      {{"llama-bpe", "llama3", "llama-v3", "falcon3", "falcon-h1", "pixtral", "midm-2.0", "lfm2",
        "jina-v5-nano"},
       {pattern::kLlama3},
       true,
       true},
      {{"chatglm-bpe", "glm4", "dbrx", "smaug-bpe"}, {pattern::kLlama3}},
      {{"jais-2"}, {kJais2}},
      {{"minicpm5"}, {pattern::kDigits3, kMiniCpm5}, true},
      {{"seed-coder"}, {pattern::kSeedCoder}},
      {{"bailingmoe", "bailingmoe2", "llada-moe"}, {kBailing}},
      {{"exaone-moe"}, {kExaoneMoe}},
      {{"gpt-4o", "llama4", "kanana2", "minimax-m2"}, {pattern::kGpt4o}},
      {{"tiny_aya", "cohere2moe"}, {kTinyAyaDigits, pattern::kGpt4o}},
      {{"tekken"}, {pattern::kTekken}, true, true},
      {{"kimi-k2"}, {kKimiHan, pattern::kKimiK2}},
      {{"smollm", "starcoder", "refact", "command-r", "codeshell", "exaone", "minerva-7b",
        "mellum2"},
       {pattern::kDigit, pattern::kGpt2}},
      {{"falcon"}, {kFalconSymbols, pattern::kGpt2, kThreeDigits}},
      {{"deepseek-llm"},
       {pattern::kNewline, pattern::kDeepSeekLetters, pattern::kDeepSeekPunctuation,
        pattern::kTrailingSpace, pattern::kDeepSeekCjk, pattern::kDigits}},
      {{"deepseek-coder"},
       {pattern::kNewline, pattern::kSpaceLetters, pattern::kSpacePunctuation,
        pattern::kDeepSeekCjk, pattern::kDigit}},
      {{"deepseek-v3", "hunyuan-dense", "joyai-llm"},
       {pattern::kDigits3, pattern::kDeepSeekV3Cjk, pattern::kDeepSeekV3}},
      {{"bloom", "poro-chat", "gpt3-finnish"}, {kBloom}},
      {{"viking"}, {kBloom, pattern::kDigit}},
      {{"gemma4"}, {pattern::kLines}, false, true},
  };
  return kFamilies;
}

const Family& find_family(std::string_view name) {
  const auto family = std::find_if(families().begin(), families().end(), [&](const Family& f) {
    return std::find(f.names.begin(), f.names.end(), name) != f.names.end();
  });
  check(family != families().end(), ErrorCode::kUnsupported, "tokenizer.ggml.pre: unknown ",
        "pre-tokenizer ", name, "; known are ", join(gguf_pre_tokenizer_names()));
  return *family;
}

NormalizerStep normalizer(NormalizerStep::Kind kind, std::string_view content = {},
                          std::string_view pattern_text = {}) {
  NormalizerStep step{};
  step.kind = kind;
  step.pattern = pattern_text;
  step.content = content;
  return step;
}

DecoderStep decoder(DecoderStep::Kind kind, std::string_view pattern_text = {},
                    std::string_view content = {}) {
  DecoderStep step{};
  step.kind = kind;
  step.pattern = pattern_text;
  step.content = content;
  return step;
}

void set_special(TokenizerSpec& spec, const GgufTokenizerFields& fields) {
  const auto size = static_cast<int64_t>(fields.tokens.size());
  const auto set = [&](int32_t& id, std::optional<int64_t> value, const char* key,
                       int64_t otherwise = kNoToken) {
    if (value.has_value() && (*value < 0 || *value >= size)) {
      spec.warnings.push_back(cat("tokenizer.ggml.", key, " is ", *value,
                                  ", outside the vocabulary of ", size, ": not used"));
      value.reset();
    }
    const int64_t chosen = value.value_or(otherwise);
    id = chosen < size ? static_cast<int32_t>(chosen) : kNoToken;
  };
  // Old files leave out the ids that all models of their kind have.
  const bool llama = fields.model == "llama", bert = fields.model == "bert",
             t5 = fields.model == "t5";
  SpecialTokens& special = spec.special;
  set(special.bos, fields.bos, "bos_token_id", llama ? 1 : kNoToken);
  set(special.eos, fields.eos, "eos_token_id", llama ? 2 : t5 ? 1 : kNoToken);
  set(special.eot, fields.eot, "eot_token_id");
  set(special.eom, fields.eom, "eom_token_id");
  set(special.unk, fields.unknown, "unknown_token_id", llama ? 0 : bert ? 100 : t5 ? 2 : kNoToken);
  set(special.sep, fields.separator, "seperator_token_id", bert ? 102 : kNoToken);
  set(special.pad, fields.padding, "padding_token_id", bert || t5 ? 0 : kNoToken);
  set(special.cls, fields.cls, "cls_token_id", bert ? fields.bos.value_or(101) : kNoToken);
  set(special.mask, fields.mask, "mask_token_id", bert ? 103 : kNoToken);
  set(special.fim_prefix, fields.fim_prefix, "fim_pre_token_id");
  set(special.fim_suffix, fields.fim_suffix, "fim_suf_token_id");
  set(special.fim_middle, fields.fim_middle, "fim_mid_token_id");
  set(special.fim_pad, fields.fim_pad, "fim_pad_token_id");
  set(special.fim_repo, fields.fim_repo, "fim_rep_token_id");
  set(special.fim_file, fields.fim_file, "fim_sep_token_id");
}

void set_kinds(TokenizerSpec& spec, const GgufTokenizerFields& fields) {
  const size_t size = fields.tokens.size();
  check(fields.token_types.empty() || fields.token_types.size() == size, ErrorCode::kFailed,
        "tokenizer.ggml.token_type has ", fields.token_types.size(), " entries for ", size,
        " tokens");
  spec.kinds.assign(size, TokenKind::kNormal);
  for (size_t id = 0; id < fields.token_types.size(); ++id) {
    const int64_t type = fields.token_types[id];
    spec.kinds[id] = type >= 1 && type <= 6 ? static_cast<TokenKind>(type) : TokenKind::kUnused;
    const TokenKind kind = spec.kinds[id];
    if (kind != TokenKind::kControl && kind != TokenKind::kUserDefined &&
        kind != TokenKind::kUnknown) {
      continue;
    }
    AddedToken token;
    token.id = static_cast<int32_t>(id);
    token.content = fields.tokens[id];
    token.special = kind != TokenKind::kUserDefined;
    spec.added.push_back(std::move(token));
  }
}

void set_scores(TokenizerSpec& spec, const GgufTokenizerFields& fields) {
  check(fields.scores.size() == fields.tokens.size(), ErrorCode::kFailed,
        "tokenizer.ggml.scores has ", fields.scores.size(), " entries for ", fields.tokens.size(),
        " tokens; a tokenizer of model ", fields.model, " needs one each");
  spec.scores = fields.scores;
}

void set_merges(TokenizerSpec& spec, const GgufTokenizerFields& fields) {
  spec.merges.joined.reserve(fields.merges.size(), fields.merges.size() * 8);
  for (const std::string_view merge : fields.merges) {
    const size_t space = merge.find(' ', 1);
    check(space != std::string_view::npos, ErrorCode::kFailed, "tokenizer.ggml.merges: ", merge,
          " is not two pieces with a space between them");
    spec.merges.add(merge.substr(0, space), merge.substr(space + 1));
  }
}

void make_bpe_spec(TokenizerSpec& spec, const GgufTokenizerFields& fields) {
  const bool gemma = fields.model == "gemma4";
  std::string_view pre = gemma ? "gemma4" : fields.pre.value_or("");
  if (pre.empty()) {
    spec.warnings.emplace_back(
        "the file names no pre-tokenizer (tokenizer.ggml.pre): \"default\" is used, and answers "
        "may be worse than the model's; convert it again with a current converter");
    pre = "default";
  }
  const Family& family = find_family(pre);
  spec.model = TokenizerModel::kBpe;
  spec.byte_level = pre != "gemma4";
  spec.ignore_merges = family.ignore_merges;
  spec.pre_tokenizer = gguf_pre_tokenizer(pre);
  if (family.nfc) spec.normalizer = {normalizer(NormalizerStep::Kind::kNfc)};
  if (spec.byte_level) {
    spec.decoder = {decoder(DecoderStep::Kind::kByteLevel)};
  } else {
    spec.byte_fallback = true;
    spec.normalizer = {normalizer(NormalizerStep::Kind::kReplaceLiteral, kMetaspace, " ")};
    spec.decoder = {decoder(DecoderStep::Kind::kByteFallback),
                    decoder(DecoderStep::Kind::kReplace, kMetaspace, " ")};
  }
  spec.merge_by_id = pre == "kimi-k2" && fields.merges.empty();
  check(!fields.merges.empty() || spec.merge_by_id, ErrorCode::kFailed,
        "tokenizer.ggml.merges is missing; a tokenizer of model ", fields.model, " needs it");
  set_merges(spec, fields);
  if (family.add_bos && spec.special.bos != kNoToken) set_adds_bos(spec, true);
}

// SentencePiece's, both kinds: spaces become ▁, one is put before the text, bytes are pieces.
void make_sentencepiece_spec(TokenizerSpec& spec, const GgufTokenizerFields& fields) {
  using Kind = NormalizerStep::Kind;
  const bool unigram = fields.model == "t5";
  spec.model = unigram ? TokenizerModel::kUnigram : TokenizerModel::kSentencePiece;
  set_scores(spec, fields);
  const bool space_first = fields.add_space_prefix.value_or(true);
  if (unigram) {
    if (!fields.precompiled_charsmap.empty()) {
      spec.normalizer.push_back(normalizer(Kind::kPrecompiled, fields.precompiled_charsmap));
    }
    if (fields.remove_extra_whitespaces.value_or(false)) {
      spec.normalizer.push_back(normalizer(Kind::kCollapseSpaces));
    }
  }
  if (space_first) spec.normalizer.push_back(normalizer(Kind::kPrepend, kMetaspace));
  spec.normalizer.push_back(normalizer(Kind::kReplaceLiteral, kMetaspace, " "));
  spec.fuse_unknown = true;
  spec.decoder = {decoder(DecoderStep::Kind::kByteFallback),
                  decoder(DecoderStep::Kind::kReplace, kMetaspace, " ")};
  spec.strip_leading_space = space_first;
  if (!unigram && spec.special.bos != kNoToken) set_adds_bos(spec, true);
  if (unigram && spec.special.eos != kNoToken) set_adds_eos(spec, true);
}

// The file stores ##x as x, and x as ▁x; here they get their own spelling back.
void make_wordpiece_spec(TokenizerSpec& spec, const GgufTokenizerFields& fields) {
  spec.model = TokenizerModel::kWordPiece;
  spec.continuation = "##";
  StringTable pieces;
  pieces.reserve(fields.tokens.size(), spec.pieces.bytes() + 2 * fields.tokens.size());
  for (const std::string_view token : fields.tokens) {
    if (token.starts_with(kMetaspace)) {
      pieces.add(token.substr(kMetaspace.size()));
    } else if (token.starts_with('[') && token.ends_with(']')) {
      pieces.add(token);
    } else {
      pieces.add(spec.continuation, token);
    }
  }
  spec.pieces = std::move(pieces);
  for (AddedToken& token : spec.added) {
    token.content = spec.pieces[static_cast<size_t>(token.id)];
  }
  NormalizerStep step = normalizer(NormalizerStep::Kind::kBert);
  step.clean_text = true;
  step.ideographs = true;
  step.lowercase = fields.lowercase.value_or(true);
  step.strip_accents = fields.strip_accents.value_or(step.lowercase);
  spec.normalizer = {step};
  PreTokenizerStep blanks{};
  blanks.kind = PreTokenizerStep::Kind::kSplit;
  blanks.pattern = pattern::kSpace;
  blanks.behavior = SplitBehavior::kRemoved;
  PreTokenizerStep punctuation{};
  punctuation.kind = PreTokenizerStep::Kind::kSplit;
  punctuation.pattern = pattern::kBertPunctuation;
  spec.pre_tokenizer = {blanks, punctuation};
  DecoderStep words = decoder(DecoderStep::Kind::kWordPiece, spec.continuation);
  words.cleanup = true;
  spec.decoder = {words};
  spec.strip_leading_space = true;
  if (spec.special.cls != kNoToken) spec.prefix = {spec.special.cls};
  if (spec.special.sep != kNoToken) spec.suffix = {spec.special.sep};
}

}  // namespace

std::vector<PreTokenizerStep> gguf_pre_tokenizer(std::string_view name) {
  std::vector<PreTokenizerStep> steps;
  for (const char* const regex : find_family(name).patterns) {
    PreTokenizerStep step{};
    step.kind = PreTokenizerStep::Kind::kSplit;
    step.pattern = regex;
    steps.push_back(step);
  }
  return steps;
}

std::optional<std::string_view> gguf_pre_tokenizer_name(const TokenizerSpec& spec) {
  bool nfc = false;
  for (const NormalizerStep& step : spec.normalizer) {
    if (step.kind != NormalizerStep::Kind::kNfc) return std::nullopt;
    nfc = true;
  }
  for (const PreTokenizerStep& step : spec.pre_tokenizer) {
    const bool plain = step.kind == PreTokenizerStep::Kind::kSplit && !step.invert &&
                       step.behavior == SplitBehavior::kIsolated;
    if (!plain) return std::nullopt;
  }
  const auto splits_alike = [&](const Family& family) {
    return std::ranges::equal(
        family.patterns, spec.pre_tokenizer, {},
        [](const char* regex) { return std::string_view(regex); },
        [](const PreTokenizerStep& s) { return std::string_view(s.pattern); });
  };
  for (const Family& family : families()) {
    if (family.nfc == nfc && family.ignore_merges == spec.ignore_merges && splits_alike(family)) {
      return family.names.front();
    }
  }
  return std::nullopt;
}

std::vector<std::string_view> gguf_pre_tokenizer_names() {
  std::vector<std::string_view> names;
  for (const Family& family : families()) {
    names.insert(names.end(), family.names.begin(), family.names.end());
  }
  return names;
}

TokenizerSpec tokenizer_spec_from_gguf(const GgufTokenizerFields& fields) {
  TokenizerSpec spec;
  size_t bytes = 0;
  for (const std::string_view token : fields.tokens) bytes += token.size();
  spec.pieces.reserve(fields.tokens.size(), bytes);
  for (const std::string_view token : fields.tokens) spec.pieces.add(token);
  set_kinds(spec, fields);
  set_special(spec, fields);
  if (fields.model == "gpt2" || fields.model == "gemma4") {
    make_bpe_spec(spec, fields);
  } else if (fields.model == "llama" || fields.model == "t5") {
    make_sentencepiece_spec(spec, fields);
  } else if (fields.model == "bert") {
    make_wordpiece_spec(spec, fields);
  } else {
    fail(ErrorCode::kUnsupported, "tokenizer.ggml.model: unknown tokenizer ", fields.model,
         "; known are gpt2, llama, bert, t5, gemma4");
  }
  if (fields.add_bos.has_value()) set_adds_bos(spec, *fields.add_bos);
  if (fields.add_eos.has_value()) set_adds_eos(spec, *fields.add_eos);
  find_roles(spec, {"tokenizer.ggml.eos_token_id", "tokenizer.ggml.eot_token_id",
                    "tokenizer.ggml.eom_token_id"});
  return spec;
}

}  // namespace zhiyin
