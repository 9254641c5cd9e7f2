#include "text/tokenizer_json.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <tuple>
#include <vector>

#include "base/error.h"

namespace zhiyin {
namespace {

using Json = nlohmann::ordered_json;

constexpr const char* kMetaspace = "▁";

Json byte_level_step() {
  return {{"type", "ByteLevel"},
          {"add_prefix_space", false},
          {"trim_offsets", false},
          {"use_regex", false}};
}

std::string piece_of(const TokenizerSpec& spec, int32_t id) {
  return std::string(spec.pieces[static_cast<size_t>(id)]);
}

// Ids that no token has (a model's embedding may have more rows than its tokenizer tokens).
bool is_unused(const TokenizerSpec& spec, size_t id) {
  return spec.pieces[id].empty() || (!spec.kinds.empty() && spec.kinds[id] == TokenKind::kUnused);
}

Json added_tokens(const TokenizerSpec& spec) {
  std::vector<const AddedToken*> sorted;
  for (const AddedToken& token : spec.added) sorted.push_back(&token);
  std::ranges::sort(sorted, {}, &AddedToken::id);
  Json tokens = Json::array();
  for (const AddedToken* token : sorted) {
    if (is_unused(spec, static_cast<size_t>(token->id))) continue;
    tokens.push_back({{"id", token->id},
                      {"content", token->content},
                      {"single_word", token->single_word},
                      {"lstrip", token->lstrip},
                      {"rstrip", token->rstrip},
                      {"normalized", token->normalized},
                      {"special", token->special}});
  }
  return tokens;
}

// Pairs in the order in which SentencePiece joins them: by the score of what they become.
Json merges_of_scores(const TokenizerSpec& spec) {
  StringIndex index(spec.pieces, spec.pieces.size());
  for (size_t id = 0; id < spec.pieces.size(); ++id) index.insert(static_cast<int32_t>(id));
  struct Pair {
    float score;
    int32_t left, right, joined;
  };
  std::vector<Pair> pairs;
  for (size_t id = 0; id < spec.pieces.size(); ++id) {
    if (!spec.kinds.empty() && spec.kinds[id] != TokenKind::kNormal) continue;
    const std::string_view piece = spec.pieces[id];
    for (size_t cut = 1; cut < piece.size(); ++cut) {
      const int32_t left = index.find(piece.substr(0, cut)), right = index.find(piece.substr(cut));
      if (left >= 0 && right >= 0) {
        pairs.push_back({spec.scores[id], left, right, static_cast<int32_t>(id)});
      }
    }
  }
  std::ranges::sort(pairs, [](const Pair& a, const Pair& b) {
    return std::tuple(-a.score, a.joined, a.left, a.right) <
           std::tuple(-b.score, b.joined, b.left, b.right);
  });
  Json merges = Json::array();
  for (const Pair& pair : pairs) {
    merges.push_back(Json::array({piece_of(spec, pair.left), piece_of(spec, pair.right)}));
  }
  return merges;
}

Json merges_of(const TokenizerSpec& spec) {
  if (spec.model == TokenizerModel::kSentencePiece) return merges_of_scores(spec);
  Json merges = Json::array();
  for (size_t i = 0; i < spec.merges.size(); ++i) {
    const std::string_view joined = spec.merges.joined[i];
    const size_t left = spec.merges.left_sizes[i];
    merges.push_back(
        Json::array({std::string(joined.substr(0, left)), std::string(joined.substr(left))}));
  }
  return merges;
}

Json model_of(const TokenizerSpec& spec) {
  Json vocabulary = Json::object();
  std::vector<const AddedToken*> added(spec.pieces.size(), nullptr);
  for (const AddedToken& token : spec.added) added[static_cast<size_t>(token.id)] = &token;
  // Behind the object's back, which would look every new key up among those before it.
  Json::object_t& entries = vocabulary.get_ref<Json::object_t&>();
  for (size_t id = 0; id < spec.pieces.size(); ++id) {
    if (is_unused(spec, id)) continue;
    entries.emplace_back(
        added[id] != nullptr ? added[id]->content : piece_of(spec, static_cast<int32_t>(id)), id);
  }
  Json unknown = nullptr;
  if (!spec.byte_level && spec.special.unk != kNoToken) unknown = piece_of(spec, spec.special.unk);
  return {{"type", "BPE"},
          {"dropout", nullptr},
          {"unk_token", unknown},
          {"continuing_subword_prefix", nullptr},
          {"end_of_word_suffix", nullptr},
          {"fuse_unk", spec.fuse_unknown},
          {"byte_fallback", !spec.byte_level},
          {"ignore_merges", spec.ignore_merges},
          {"vocab", std::move(vocabulary)},
          {"merges", merges_of(spec)}};
}

Json normalizer_of(const TokenizerSpec& spec) {
  Json steps = Json::array();
  for (const NormalizerStep& step : spec.normalizer) {
    switch (step.kind) {
      case NormalizerStep::Kind::kNfc:
        steps.push_back({{"type", "NFC"}});
        break;
      case NormalizerStep::Kind::kPrepend:
        steps.push_back({{"type", "Prepend"}, {"prepend", step.content}});
        break;
      case NormalizerStep::Kind::kReplaceLiteral:
        steps.push_back({{"type", "Replace"},
                         {"pattern", {{"String", step.pattern}}},
                         {"content", step.content}});
        break;
      default:
        fail(ErrorCode::kUnsupported,
             "tokenizer: its normalizer cannot be written as tokenizer.json yet");
    }
  }
  if (steps.empty()) return nullptr;
  if (steps.size() == 1) return steps[0];
  return {{"type", "Sequence"}, {"normalizers", steps}};
}

Json pre_tokenizer_of(const TokenizerSpec& spec) {
  if (!spec.byte_level && spec.pre_tokenizer.empty()) return nullptr;
  Json steps = Json::array();
  for (const PreTokenizerStep& step : spec.pre_tokenizer) {
    check(step.kind == PreTokenizerStep::Kind::kSplit && step.behavior == SplitBehavior::kIsolated,
          ErrorCode::kUnsupported,
          "tokenizer: its way of splitting words cannot be written as tokenizer.json yet");
    steps.push_back({{"type", "Split"},
                     {"pattern", {{"Regex", step.pattern}}},
                     {"behavior", "Isolated"},
                     {"invert", step.invert}});
  }
  if (spec.byte_level) steps.push_back(byte_level_step());
  return {{"type", "Sequence"}, {"pretokenizers", steps}};
}

Json post_processor_of(const TokenizerSpec& spec) {
  if (spec.prefix.empty() && spec.suffix.empty()) {
    return spec.byte_level ? byte_level_step() : Json(nullptr);
  }
  Json tokens = Json::object();
  const auto items = [&](const std::vector<int32_t>& ids, Json& list, int type) {
    for (const int32_t id : ids) {
      const std::string text = piece_of(spec, id);
      list.push_back({{"SpecialToken", {{"id", text}, {"type_id", type}}}});
      tokens[text] = {{"id", text}, {"ids", {id}}, {"tokens", {text}}};
    }
  };
  Json single = Json::array(), pair = Json::array();
  items(spec.prefix, single, 0);
  single.push_back({{"Sequence", {{"id", "A"}, {"type_id", 0}}}});
  items(spec.suffix, single, 0);
  pair = single;
  items(spec.prefix, pair, 1);
  pair.push_back({{"Sequence", {{"id", "B"}, {"type_id", 1}}}});
  items(spec.suffix, pair, 1);
  return {{"type", "TemplateProcessing"},
          {"single", single},
          {"pair", pair},
          {"special_tokens", tokens}};
}

Json decoder_of(const TokenizerSpec& spec) {
  if (spec.byte_level) {
    return {{"type", "ByteLevel"},
            {"add_prefix_space", true},
            {"trim_offsets", true},
            {"use_regex", true}};
  }
  Json steps =
      Json::array({{{"type", "Replace"}, {"pattern", {{"String", kMetaspace}}}, {"content", " "}},
                   {{"type", "ByteFallback"}},
                   {{"type", "Fuse"}}});
  if (spec.strip_leading_space) {
    steps.push_back({{"type", "Strip"}, {"content", " "}, {"start", 1}, {"stop", 0}});
  }
  return {{"type", "Sequence"}, {"decoders", steps}};
}

}  // namespace

std::string tokenizer_json(const TokenizerSpec& spec) {
  const bool sentencepiece = spec.model == TokenizerModel::kSentencePiece;
  const bool bpe = spec.model == TokenizerModel::kBpe && spec.byte_level && !spec.merge_by_id;
  check(sentencepiece || bpe, ErrorCode::kUnsupported,
        "tokenizer: only byte-level BPE and SentencePiece's BPE can be written as tokenizer.json "
        "so far");
  const Json json = {{"version", "1.0"},
                     {"truncation", nullptr},
                     {"padding", nullptr},
                     {"added_tokens", added_tokens(spec)},
                     {"normalizer", normalizer_of(spec)},
                     {"pre_tokenizer", pre_tokenizer_of(spec)},
                     {"post_processor", post_processor_of(spec)},
                     {"decoder", decoder_of(spec)},
                     {"model", model_of(spec)}};
  return json.dump() + "\n";
}

std::string tokenizer_config_json(const TokenizerSpec& spec, int32_t eos, int64_t max_positions) {
  Json config = {{"tokenizer_class", "PreTrainedTokenizerFast"},
                 {"clean_up_tokenization_spaces", false},
                 {"model_max_length", max_positions},
                 {"add_bos_token", !spec.prefix.empty()},
                 {"add_eos_token", !spec.suffix.empty()}};
  const SpecialTokens& special = spec.special;
  const std::pair<const char*, int32_t> roles[] = {
      {"bos_token", special.bos},
      {"eos_token", eos != kNoToken ? eos : special.eos},
      {"unk_token", spec.byte_level ? kNoToken : special.unk},
      {"pad_token", special.pad}};
  for (const auto& [name, id] : roles) {
    if (id != kNoToken) config[name] = piece_of(spec, id);
  }
  return config.dump(2) + "\n";
}

}  // namespace zhiyin
