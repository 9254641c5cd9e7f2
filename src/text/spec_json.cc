#include "text/spec_json.h"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>

#include "text/json_vocabulary.h"
#include "text/regex.h"
#include "text/roles.h"
#include "text/scanner.h"
#include "text/word_model.h"

namespace zhiyin {
namespace {

using nlohmann::json;

constexpr char kFile[] = "tokenizer.json";
constexpr char kConfigFile[] = "tokenizer_config.json";
constexpr std::string_view kMetaspace = "▁";
constexpr size_t kMaxSteps = 64;
constexpr int64_t kMaxWordChars = 1000;
constexpr size_t kMaxGap = 65536;  // ids that no piece has, before an added token

// ---------------------------------------------------------------------------------------- fields

const json* member(const json& object, const char* key) {
  if (!object.is_object()) return nullptr;
  const auto found = object.find(key);
  return found == object.end() || found->is_null() ? nullptr : &*found;
}

[[noreturn]] void wrong_type(const char* key, const json& value, const char* expected) {
  fail(ErrorCode::kFailed, kFile, ": ", key, " is ", value.type_name(), ", not ", expected);
}

std::string text_of(const json& object, const char* key, std::string otherwise = {}) {
  const json* const value = member(object, key);
  if (value == nullptr) return otherwise;
  if (!value->is_string()) wrong_type(key, *value, "a string");
  return value->get<std::string>();
}

bool flag_of(const json& object, const char* key, bool otherwise) {
  const json* const value = member(object, key);
  if (value == nullptr) return otherwise;
  if (!value->is_boolean()) wrong_type(key, *value, "true or false");
  return value->get<bool>();
}

int64_t integer_of(const json& object, const char* key, int64_t otherwise) {
  const json* const value = member(object, key);
  if (value == nullptr) return otherwise;
  if (!value->is_number_integer()) wrong_type(key, *value, "an integer");
  return value->get<int64_t>();
}

const json& list_of(const json& object, const char* key) {
  static const json kEmpty = json::array();
  const json* const value = member(object, key);
  if (value == nullptr) return kEmpty;
  if (!value->is_array()) wrong_type(key, *value, "a list");
  return *value;
}

[[noreturn]] void unsupported(const char* part, const json& step) {
  fail(ErrorCode::kUnsupported, kFile, ": ", part, " of type ", text_of(step, "type", "(none)"),
       " is unknown to zhiyin");
}

// Calls visit(step) for the step, or for each step of a Sequence whose list is under `key`.
template <typename Visit>
void for_each_step(const json& step, const char* key, Visit visit) {
  if (text_of(step, "type") != "Sequence") {
    visit(step);
    return;
  }
  for (const json& inner : list_of(step, key)) for_each_step(inner, key, visit);
}

// A pattern is {"String": …} or {"Regex": …}.
struct Pattern {
  std::string text;
  bool is_regex;
};
Pattern pattern_of(const json& step) {
  const json* const node = member(step, "pattern");
  if (node != nullptr && node->is_string()) return {node->get<std::string>(), false};
  if (node != nullptr && member(*node, "Regex") != nullptr) return {text_of(*node, "Regex"), true};
  if (node != nullptr && member(*node, "String") != nullptr) {
    return {text_of(*node, "String"), false};
  }
  fail(ErrorCode::kFailed, kFile, ": a step of type ", text_of(step, "type"), " has no pattern");
}

std::string decode_base64(const std::string& text) {
  std::string out;
  uint32_t bits = 0;
  int count = 0;
  for (const char c : text) {
    static constexpr std::string_view kDigits =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    if (c == '=') break;
    const size_t digit = kDigits.find(c);
    check(digit != std::string_view::npos, ErrorCode::kFailed, kFile,
          ": precompiled_charsmap is not base64");
    bits = bits << 6 | static_cast<uint32_t>(digit);
    count += 6;
    if (count >= 8) {
      count -= 8;
      out += static_cast<char>(bits >> count & 0xFF);
    }
  }
  return out;
}

// ------------------------------------------------------------------------------------ normalizer

NormalizerStep normalizer_step(const json& step) {
  using Kind = NormalizerStep::Kind;
  const std::string type = text_of(step, "type");
  NormalizerStep out{};
  static constexpr std::pair<std::string_view, Kind> kPlain[] = {
      {"NFC", Kind::kNfc},
      {"NFD", Kind::kNfd},
      {"NFKC", Kind::kNfkc},
      {"NFKD", Kind::kNfkd},
      {"Lowercase", Kind::kLowercase},
      {"StripAccents", Kind::kStripAccents}};
  for (const auto& [name, kind] : kPlain) {
    if (type == name) {
      out.kind = kind;
      return out;
    }
  }
  if (type == "Strip") {
    out.kind = Kind::kStrip;
    out.strip_left = flag_of(step, "strip_left", true);
    out.strip_right = flag_of(step, "strip_right", true);
  } else if (type == "Replace") {
    Pattern pattern = pattern_of(step);
    out.kind = pattern.is_regex ? Kind::kReplace : Kind::kReplaceLiteral;
    out.pattern = std::move(pattern.text);
    out.content = text_of(step, "content");
  } else if (type == "Prepend") {
    out.kind = Kind::kPrepend;
    out.content = text_of(step, "prepend");
  } else if (type == "BertNormalizer") {
    out.kind = Kind::kBert;
    out.clean_text = flag_of(step, "clean_text", true);
    out.ideographs = flag_of(step, "handle_chinese_chars", true);
    out.lowercase = flag_of(step, "lowercase", true);
    out.strip_accents = flag_of(step, "strip_accents", out.lowercase);
  } else if (type == "Precompiled") {
    out.kind = Kind::kPrecompiled;
    out.content = decode_base64(text_of(step, "precompiled_charsmap"));
  } else {
    unsupported("normalizer", step);
  }
  return out;
}

// --------------------------------------------------------------------------------- pre-tokenizer

PreTokenizerStep split_step(std::string pattern,
                            SplitBehavior behavior = SplitBehavior::kIsolated) {
  PreTokenizerStep step{};
  step.kind = PreTokenizerStep::Kind::kSplit;
  step.pattern = std::move(pattern);
  step.behavior = behavior;
  return step;
}

SplitBehavior behavior_of(const json& step) {
  static constexpr std::pair<std::string_view, SplitBehavior> kNames[] = {
      {"Removed", SplitBehavior::kRemoved},
      {"Isolated", SplitBehavior::kIsolated},
      {"Contiguous", SplitBehavior::kContiguous},
      {"MergedWithPrevious", SplitBehavior::kMergedWithPrevious},
      {"MergedWithNext", SplitBehavior::kMergedWithNext}};
  const std::string name = text_of(step, "behavior", "Isolated");
  for (const auto& [known, behavior] : kNames) {
    if (name == known) return behavior;
  }
  fail(ErrorCode::kUnsupported, kFile, ": split behavior ", name, " is unknown to zhiyin");
}

void add_bert_words(std::vector<PreTokenizerStep>& steps) {
  steps.push_back(split_step(pattern::kSpace, SplitBehavior::kRemoved));
  steps.push_back(split_step(pattern::kBertPunctuation));
}

PreTokenizerStep::Prepend prepend_of(const json& step) {
  using Prepend = PreTokenizerStep::Prepend;
  const bool old_flag = flag_of(step, "add_prefix_space", true);
  const std::string scheme = text_of(step, "prepend_scheme", old_flag ? "always" : "never");
  if (scheme == "always") return Prepend::kAlways;
  if (scheme == "first") return Prepend::kFirst;
  check(scheme == "never", ErrorCode::kUnsupported, kFile, ": Metaspace prepend_scheme ", scheme,
        " is unknown to zhiyin");
  return Prepend::kNever;
}

void add_metaspace(const json& step, std::vector<PreTokenizerStep>& steps) {
  const std::string replacement = text_of(step, "replacement", std::string(kMetaspace));
  check(replacement == kMetaspace, ErrorCode::kUnsupported, kFile,
        ": Metaspace with the replacement ", replacement, "; only ▁ is known to zhiyin");
  PreTokenizerStep spaces{};
  spaces.kind = PreTokenizerStep::Kind::kMetaspace;
  spaces.prepend = prepend_of(step);
  steps.push_back(spaces);
  if (flag_of(step, "split", true)) {
    steps.push_back(split_step(pattern::kMetaspace, SplitBehavior::kMergedWithNext));
  }
}

void add_pre_tokenizer(const json& step, TokenizerSpec& spec) {
  std::vector<PreTokenizerStep>& steps = spec.pre_tokenizer;
  check(steps.size() < kMaxSteps, ErrorCode::kUnsupported, kFile, ": more than ", kMaxSteps,
        " pre-tokenizers");
  const std::string type = text_of(step, "type");
  if (type == "ByteLevel") {
    spec.byte_level = true;
    if (flag_of(step, "add_prefix_space", false)) {
      PreTokenizerStep space{};
      space.kind = PreTokenizerStep::Kind::kPrependSpace;
      steps.push_back(space);
    }
    if (flag_of(step, "use_regex", true)) steps.push_back(split_step(pattern::kGpt2));
  } else if (type == "Split") {
    const Pattern pattern = pattern_of(step);
    steps.push_back(split_step(pattern.is_regex ? pattern.text : Regex::escape(pattern.text),
                               behavior_of(step)));
    steps.back().invert = flag_of(step, "invert", false);
  } else if (type == "Metaspace") {
    add_metaspace(step, steps);
  } else if (type == "BertPreTokenizer") {
    add_bert_words(steps);
  } else if (type == "Whitespace") {
    steps.push_back(split_step(pattern::kWordOrSymbols, SplitBehavior::kRemoved));
    steps.back().invert = true;
  } else if (type == "WhitespaceSplit") {
    steps.push_back(split_step(pattern::kSpace, SplitBehavior::kRemoved));
  } else if (type == "Digits") {
    steps.push_back(
        split_step(flag_of(step, "individual_digits", false) ? pattern::kDigit : pattern::kDigits));
  } else if (type == "Punctuation") {
    steps.push_back(split_step(pattern::kBertPunctuation, behavior_of(step)));
  } else if (type == "CharDelimiterSplit") {
    steps.push_back(split_step(Regex::escape(text_of(step, "delimiter")), SplitBehavior::kRemoved));
  } else {
    unsupported("pre_tokenizer", step);
  }
}

// --------------------------------------------------------------------------------------- decoder

void add_decoder(const json& step, TokenizerSpec& spec) {
  using Kind = DecoderStep::Kind;
  const std::string type = text_of(step, "type");
  DecoderStep out{};
  check(spec.decoder.size() < kMaxSteps, ErrorCode::kUnsupported, kFile, ": more than ", kMaxSteps,
        " decoders");
  if (type == "Fuse") return;  // pieces are joined anyway
  if (type == "ByteLevel") {
    out.kind = Kind::kByteLevel;
  } else if (type == "ByteFallback") {
    out.kind = Kind::kByteFallback;
  } else if (type == "Metaspace") {
    out.kind = Kind::kReplace;
    out.pattern = kMetaspace;
    out.content = " ";
    spec.strip_leading_space = prepend_of(step) != PreTokenizerStep::Prepend::kNever;
  } else if (type == "Replace") {
    const Pattern pattern = pattern_of(step);
    if (pattern.is_regex) unsupported("decoder with a regular expression", step);
    out.kind = Kind::kReplace;
    out.pattern = pattern.text;
    out.content = text_of(step, "content");
    check(out.content.size() <= out.pattern.size() + 16, ErrorCode::kUnsupported, kFile,
          ": a decoder replaces ", out.pattern, " by ", out.content.size(), " bytes");
  } else if (type == "Strip") {
    if (text_of(step, "content") != " ") unsupported("decoder", step);
    spec.strip_leading_space = integer_of(step, "start", 0) > 0;
    spec.strip_trailing_space = integer_of(step, "stop", 0) > 0;
    return;
  } else if (type == "WordPiece") {
    out.kind = Kind::kWordPiece;
    out.pattern = text_of(step, "prefix", "##");
    out.cleanup = flag_of(step, "cleanup", true);
    spec.strip_leading_space = true;
  } else if (type == "BPEDecoder") {
    out.kind = Kind::kWordEnd;
    out.pattern = text_of(step, "suffix", "</w>");
    spec.strip_trailing_space = true;
  } else {
    unsupported("decoder", step);
  }
  spec.decoder.push_back(std::move(out));
}

// ---------------------------------------------------------------------------------- added tokens

// The content of "bos_token" and the like: a string, or an object with one.
std::optional<std::string> token_text(const json& config, const char* key) {
  const json* const value = member(config, key);
  if (value == nullptr) return std::nullopt;
  if (value->is_string()) return value->get<std::string>();
  return member(*value, "content") != nullptr ? std::optional(text_of(*value, "content"))
                                              : std::nullopt;
}

AddedToken added_token(const json& node, int64_t id) {
  check(id >= 0 && id < (int64_t{1} << 21), ErrorCode::kFailed, kFile, ": an added token has the ",
        "id ", id);
  AddedToken token;
  token.id = static_cast<int32_t>(id);
  token.content = text_of(node, "content");
  token.special = flag_of(node, "special", false);
  token.lstrip = flag_of(node, "lstrip", false);
  token.rstrip = flag_of(node, "rstrip", false);
  token.single_word = flag_of(node, "single_word", false);
  token.normalized = flag_of(node, "normalized", !token.special);
  return token;
}

// Gives added tokens a place among the pieces, and their kind.
void place_added_tokens(TokenizerSpec& spec) {
  std::sort(spec.added.begin(), spec.added.end(), [](const AddedToken& a, const AddedToken& b) {
    return a.id != b.id ? a.id < b.id : a.content < b.content;
  });
  for (const AddedToken& token : spec.added) {
    check(static_cast<size_t>(token.id) < spec.pieces.size() + kMaxGap, ErrorCode::kFailed,
          "tokenizer: the added token ", token.content, " has the id ", token.id,
          ", but the vocabulary ends at ", spec.pieces.size());
    while (spec.pieces.size() < static_cast<size_t>(token.id)) spec.pieces.add({});
    if (spec.pieces.size() == static_cast<size_t>(token.id)) spec.pieces.add(token.content);
  }
  spec.kinds.assign(spec.pieces.size(), TokenKind::kNormal);
  for (size_t id = 0; id < spec.pieces.size(); ++id) {
    if (spec.pieces[id].empty()) spec.kinds[id] = TokenKind::kUnused;
    if (spec.byte_fallback && byte_of_piece(spec.pieces[id]) >= 0) {
      spec.kinds[id] = TokenKind::kByte;
    }
  }
  for (const AddedToken& token : spec.added) {
    spec.kinds[static_cast<size_t>(token.id)] =
        token.special ? TokenKind::kControl : TokenKind::kUserDefined;
  }
  if (!spec.scores.empty()) spec.scores.resize(spec.pieces.size(), 0.0f);
}

int32_t find_token(const TokenizerSpec& spec, std::string_view text) {
  for (const AddedToken& token : spec.added) {
    if (token.content == text) return token.id;
  }
  for (size_t id = 0; id < spec.pieces.size(); ++id) {
    if (spec.pieces[id] == text) return static_cast<int32_t>(id);
  }
  return kNoToken;
}

void set_unknown(TokenizerSpec& spec, const std::string& text) {
  if (text.empty()) return;
  spec.special.unk = find_token(spec, text);
  check(spec.special.unk != kNoToken, ErrorCode::kFailed, "tokenizer: the unknown token ", text,
        " is not in the vocabulary");
  if (spec.kinds[static_cast<size_t>(spec.special.unk)] == TokenKind::kNormal) {
    spec.kinds[static_cast<size_t>(spec.special.unk)] = TokenKind::kUnknown;
  }
}

// Roles, and what is put round the text, as tokenizer_config.json has them.
void apply_config(TokenizerSpec& spec, const json& config) {
  static constexpr std::pair<const char*, int32_t SpecialTokens::*> kRoles[] = {
      {"bos_token", &SpecialTokens::bos},  {"eos_token", &SpecialTokens::eos},
      {"unk_token", &SpecialTokens::unk},  {"sep_token", &SpecialTokens::sep},
      {"pad_token", &SpecialTokens::pad},  {"cls_token", &SpecialTokens::cls},
      {"mask_token", &SpecialTokens::mask}};
  for (const auto& [key, role] : kRoles) {
    const std::optional<std::string> text = token_text(config, key);
    if (!text.has_value() || spec.special.*role != kNoToken) continue;
    spec.special.*role = find_token(spec, *text);
    if (spec.special.*role == kNoToken) {
      spec.warnings.push_back(
          cat(kConfigFile, ": ", key, " ", *text, " is not in the vocabulary: not used"));
    }
  }
  const auto flag = [&](const char* key) -> std::optional<bool> {
    const json* const value = member(config, key);
    return value != nullptr && value->is_boolean() ? std::optional(value->get<bool>())
                                                   : std::nullopt;
  };
  // Some files say true and name no such token; transformers then puts nothing.
  if (const auto adds = flag("add_bos_token")) {
    set_adds_bos(spec, *adds && spec.special.bos != kNoToken);
  }
  if (const auto adds = flag("add_eos_token")) {
    set_adds_eos(spec, *adds && spec.special.eos != kNoToken);
  }
}

void finish(TokenizerSpec& spec) {
  const std::string eos = cat("eos_token of ", kConfigFile);
  find_roles(spec, {eos, {}, {}});
}

// -------------------------------------------------------------------------------- post-processor

// TemplateProcessing's list: tokens before the text "A", and behind it.
void apply_template(const json& step, TokenizerSpec& spec) {
  const json* const tokens = member(step, "special_tokens");
  std::vector<int32_t>* side = &spec.prefix;
  for (const json& item : list_of(step, "single")) {
    if (member(item, "Sequence") != nullptr) {
      side = &spec.suffix;
      continue;
    }
    const json* const special = member(item, "SpecialToken");
    if (special == nullptr) continue;
    const std::string name = text_of(*special, "id");
    const json* const entry = tokens == nullptr ? nullptr : member(*tokens, name.c_str());
    check(entry != nullptr, ErrorCode::kFailed, kFile, ": the post-processor's token ", name,
          " is not among its special_tokens");
    for (const json& id : list_of(*entry, "ids")) {
      check(id.is_number_integer(), ErrorCode::kFailed, kFile, ": the ids of ", name,
            " are not integers");
      side->push_back(static_cast<int32_t>(std::clamp<int64_t>(id.get<int64_t>(), -2, INT32_MAX)));
    }
  }
}

void apply_post_processor(const json& step, TokenizerSpec& spec) {
  const std::string type = text_of(step, "type");
  if (type == "ByteLevel") return;  // trims offsets, which are not kept
  if (type == "TemplateProcessing") {
    apply_template(step, spec);
  } else if (type == "BertProcessing" || type == "RobertaProcessing") {
    const auto id_of = [&](const char* key) -> int32_t {
      const json& pair = list_of(step, key);  // [text, id]
      check(pair.size() == 2 && pair[1].is_number_integer(), ErrorCode::kFailed, kFile, ": ", type,
            " needs ", key, " as a text and an id");
      return static_cast<int32_t>(std::clamp<int64_t>(pair[1].get<int64_t>(), -2, INT32_MAX));
    };
    spec.prefix = {id_of("cls")};
    spec.suffix = {id_of("sep")};
  } else {
    unsupported("post_processor", step);
  }
}

// ----------------------------------------------------------------------------------------- model

void apply_model(const json& model, JsonVocabulary vocabulary, TokenizerSpec& spec) {
  std::string type = text_of(model, "type");
  if (type.empty()) {  // as old files have it
    type = vocabulary.merges.size() > 0 ? "BPE" : !vocabulary.scores.empty() ? "Unigram" : "";
  }
  spec.byte_fallback = flag_of(model, "byte_fallback", false);
  spec.merges = std::move(vocabulary.merges);
  if (type == "BPE") {
    spec.model = TokenizerModel::kBpe;
    spec.ignore_merges = flag_of(model, "ignore_merges", false);
    spec.fuse_unknown = flag_of(model, "fuse_unk", false);
    spec.continuation = text_of(model, "continuing_subword_prefix");
    spec.word_end = text_of(model, "end_of_word_suffix");
  } else if (type == "WordPiece") {
    spec.model = TokenizerModel::kWordPiece;
    spec.continuation = text_of(model, "continuing_subword_prefix", "##");
    const int64_t chars = integer_of(model, "max_input_chars_per_word", 100);
    check(chars >= 0 && chars <= kMaxWordChars, ErrorCode::kUnsupported, kFile,
          ": max_input_chars_per_word ", chars, ", at most ", kMaxWordChars, " are taken");
    spec.max_word_chars = static_cast<size_t>(chars);
  } else if (type == "Unigram") {
    spec.model = TokenizerModel::kUnigram;
    spec.fuse_unknown = true;
    check(!vocabulary.scores.empty(), ErrorCode::kFailed, kFile,
          ": model.vocab of a Unigram is not a list of [piece, score]");
  } else {
    fail(ErrorCode::kUnsupported, kFile, ": model.type ", type.empty() ? "(none)" : type,
         "; known are BPE, WordPiece, Unigram");
  }
  set_pieces(spec, std::move(vocabulary));
}

}  // namespace

TokenizerSpec tokenizer_spec_from_json(std::string_view tokenizer_json,
                                       std::string_view tokenizer_config_json) {
  JsonVocabulary vocabulary;
  const json root = parse_tokenizer_json(tokenizer_json, kFile, vocabulary);
  const json config = parse_json_object(tokenizer_config_json, kConfigFile);
  const json* const model = member(root, "model");
  check(model != nullptr && model->is_object(), ErrorCode::kFailed, kFile, ": no model");
  TokenizerSpec spec;
  apply_model(*model, std::move(vocabulary), spec);
  if (const json* const step = member(root, "normalizer")) {
    for_each_step(*step, "normalizers",
                  [&](const json& s) { spec.normalizer.push_back(normalizer_step(s)); });
  }
  if (const json* const step = member(root, "pre_tokenizer")) {
    for_each_step(*step, "pretokenizers", [&](const json& s) { add_pre_tokenizer(s, spec); });
  }
  if (const json* const step = member(root, "decoder")) {
    for_each_step(*step, "decoders", [&](const json& s) { add_decoder(s, spec); });
  }
  if (const json* const step = member(root, "post_processor")) {
    for_each_step(*step, "processors", [&](const json& s) { apply_post_processor(s, spec); });
  }
  for (const json& node : list_of(root, "added_tokens")) {
    spec.added.push_back(added_token(node, integer_of(node, "id", -1)));
  }
  place_added_tokens(spec);
  if (spec.model == TokenizerModel::kUnigram) {
    const int64_t unknown = integer_of(*model, "unk_id", kNoToken);
    check(unknown >= kNoToken && unknown < static_cast<int64_t>(spec.pieces.size()),
          ErrorCode::kFailed, kFile, ": unk_id ", unknown, " is outside the vocabulary");
    if (unknown >= 0) set_unknown(spec, std::string(spec.pieces[static_cast<size_t>(unknown)]));
  } else {
    set_unknown(spec, text_of(*model, "unk_token"));
  }
  apply_config(spec, config);
  finish(spec);
  return spec;
}

namespace {

void parse_merges(std::string_view text, MergeList& merges) {
  size_t number = 0;
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size());
    std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    ++number;
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (line.empty() || line.starts_with("#version")) continue;
    const size_t space = line.find(' ', 1);
    check(space != std::string_view::npos, ErrorCode::kFailed, "merges.txt: line ", number, " (",
          line, ") is not two pieces with a space between them");
    merges.add(line.substr(0, space), line.substr(space + 1));
  }
}

// "GPT2TokenizerFast" -> "GPT2"
std::string tokenizer_class(const json& config) {
  std::string name = text_of(config, "tokenizer_class");
  for (const std::string_view ending : {"Fast", "Tokenizer"}) {
    if (std::string_view(name).ends_with(ending)) name.resize(name.size() - ending.size());
  }
  return name;
}

// tokenizer_config.json's {"151644": {"content": …}, …}, for folders without tokenizer.json.
void add_tokens_from_config(const json& config, TokenizerSpec& spec) {
  const json* const tokens = member(config, "added_tokens_decoder");
  if (tokens == nullptr || !tokens->is_object()) return;
  for (const auto& [key, node] : tokens->items()) {
    check(!key.empty() && key.size() < 8 && key.find_first_not_of("0123456789") == key.npos,
          ErrorCode::kFailed, kConfigFile, ": added_tokens_decoder has ", key,
          " where an id belongs");
    spec.added.push_back(added_token(node, std::stoll(key)));
  }
}

// Special tokens that the configuration names are never spelled by a text.
void add_named_tokens(const json& config, TokenizerSpec& spec) {
  for (const char* const key : {"bos_token", "eos_token", "unk_token", "sep_token", "pad_token",
                                "cls_token", "mask_token"}) {
    const std::optional<std::string> text = token_text(config, key);
    if (!text.has_value()) continue;
    const int32_t id = find_token(spec, *text);
    const bool known = std::any_of(spec.added.begin(), spec.added.end(),
                                   [&](const AddedToken& token) { return token.id == id; });
    if (id == kNoToken || known) continue;
    AddedToken token;
    token.id = id;
    token.content = *text;
    token.special = true;
    spec.added.push_back(std::move(token));
  }
}

}  // namespace

TokenizerSpec tokenizer_spec_from_merges(std::string_view vocab_json, std::string_view merges_txt,
                                         std::string_view tokenizer_config_json) {
  const json config = parse_json_object(tokenizer_config_json, kConfigFile);
  TokenizerSpec spec;
  JsonVocabulary vocabulary;
  parse_vocabulary_json(vocab_json, "vocab.json", vocabulary);
  set_pieces(spec, std::move(vocabulary));
  parse_merges(merges_txt, spec.merges);
  spec.model = TokenizerModel::kBpe;
  const std::string name = tokenizer_class(config);
  DecoderStep decoder{};
  if (name == "OpenAIGPT") {
    NormalizerStep bert{};
    bert.kind = NormalizerStep::Kind::kBert;
    bert.clean_text = bert.ideographs = bert.strip_accents = bert.lowercase = true;
    spec.normalizer = {bert};
    add_bert_words(spec.pre_tokenizer);
    spec.word_end = "</w>";
    decoder.kind = DecoderStep::Kind::kWordEnd;
    decoder.pattern = spec.word_end;
    spec.strip_trailing_space = true;
  } else {
    const bool qwen = name == "Qwen2";
    check(qwen || name == "GPT2" || name == "CodeGen" || name == "Roberta", ErrorCode::kUnsupported,
          kConfigFile, ": tokenizer_class ", name.empty() ? "(none)" : name,
          " has no known way of splitting words; provide tokenizer.json, or one of GPT2Tokenizer, "
          "Qwen2Tokenizer, CodeGenTokenizer, RobertaTokenizer, OpenAIGPTTokenizer");
    spec.byte_level = true;
    if (qwen) spec.normalizer.push_back({NormalizerStep::Kind::kNfc, {}, {}});
    if (flag_of(config, "add_prefix_space", false)) {
      PreTokenizerStep space{};
      space.kind = PreTokenizerStep::Kind::kPrependSpace;
      spec.pre_tokenizer.push_back(space);
    }
    spec.pre_tokenizer.push_back(split_step(qwen ? pattern::kQwen2 : pattern::kGpt2));
    decoder.kind = DecoderStep::Kind::kByteLevel;
  }
  spec.decoder = {decoder};
  add_tokens_from_config(config, spec);
  add_named_tokens(config, spec);
  place_added_tokens(spec);
  if (!spec.byte_level) set_unknown(spec, token_text(config, "unk_token").value_or("<unk>"));
  apply_config(spec, config);
  finish(spec);
  return spec;
}

TokenizerSpec tokenizer_spec_from_wordpieces(std::string_view vocab_txt,
                                             std::string_view tokenizer_config_json) {
  const json config = parse_json_object(tokenizer_config_json, kConfigFile);
  TokenizerSpec spec;
  spec.model = TokenizerModel::kWordPiece;
  spec.continuation = "##";
  while (!vocab_txt.empty()) {
    const size_t end = std::min(vocab_txt.find('\n'), vocab_txt.size());
    std::string_view line = vocab_txt.substr(0, end);
    if (line.ends_with('\r')) line.remove_suffix(1);
    spec.pieces.add(line);
    vocab_txt.remove_prefix(std::min(end + 1, vocab_txt.size()));
  }
  NormalizerStep bert{};
  bert.kind = NormalizerStep::Kind::kBert;
  bert.clean_text = true;
  bert.ideographs = flag_of(config, "tokenize_chinese_chars", true);
  bert.lowercase = flag_of(config, "do_lower_case", true);
  bert.strip_accents = flag_of(config, "strip_accents", bert.lowercase);
  spec.normalizer = {bert};
  add_bert_words(spec.pre_tokenizer);
  DecoderStep decoder{};
  decoder.kind = DecoderStep::Kind::kWordPiece;
  decoder.pattern = spec.continuation;
  decoder.cleanup = true;
  spec.decoder = {decoder};
  spec.strip_leading_space = true;
  json named = config;  // BERT's names, where the configuration has none
  for (const auto& [key, text] : {std::pair{"unk_token", "[UNK]"}, std::pair{"sep_token", "[SEP]"},
                                  std::pair{"pad_token", "[PAD]"}, std::pair{"cls_token", "[CLS]"},
                                  std::pair{"mask_token", "[MASK]"}}) {
    if (member(named, key) == nullptr) named[key] = text;
  }
  add_named_tokens(named, spec);
  place_added_tokens(spec);
  set_unknown(spec, token_text(named, "unk_token").value_or(""));
  apply_config(spec, named);
  if (spec.special.cls != kNoToken) spec.prefix = {spec.special.cls};
  if (spec.special.sep != kNoToken) spec.suffix = {spec.special.sep};
  finish(spec);
  return spec;
}

}  // namespace zhiyin
