#include "text/roles.h"

#include <algorithm>
#include <array>
#include <optional>
#include <string_view>
#include <unordered_map>

namespace zhiyin {
namespace {

struct Role {
  int32_t SpecialTokens::* id;
  std::initializer_list<std::string_view> texts;  // the first one that exists wins
};

const std::array<Role, 8>& roles() {
  static const std::array<Role, 8> kRoles = {{
      {&SpecialTokens::eot,
       {"<|eot_id|>", "<|im_end|>", "<|end|>", "<end_of_turn>", "<turn|>", "<|endoftext|>",
        "<|end_of_text|>", "<EOT>", "_<EOT>", "[EOT]", "<｜end▁of▁sentence｜>",
        "<end_of_utterance>"}},
      {&SpecialTokens::eom, {"<|eom_id|>"}},
      {&SpecialTokens::fim_prefix,
       {"<|fim_prefix|>", "<fim-prefix>", "<fim_prefix>", "<｜fim▁begin｜>", "<PRE>", "▁<PRE>",
        "<|code_prefix|>"}},
      {&SpecialTokens::fim_suffix,
       {"<|fim_suffix|>", "<fim-suffix>", "<fim_suffix>", "<｜fim▁hole｜>", "<SUF>", "▁<SUF>",
        "<|code_suffix|>"}},
      {&SpecialTokens::fim_middle,
       {"<|fim_middle|>", "<fim-middle>", "<fim_middle>", "<｜fim▁end｜>", "<MID>", "▁<MID>",
        "<|code_middle|>"}},
      {&SpecialTokens::fim_pad, {"<|fim_pad|>", "<fim-pad>", "<fim_pad>", "<PAD>"}},
      {&SpecialTokens::fim_repo,
       {"<|fim_repo|>", "<|repo_name|>", "<fim-repo>", "<REPO>", "<reponame>"}},
      {&SpecialTokens::fim_file, {"<|file_sep|>"}},
  }};
  return kRoles;
}

constexpr std::string_view kStopTexts[] = {"<|eot_id|>",
                                           "<|im_end|>",
                                           "<|end|>",
                                           "<|return|>",
                                           "<|call|>",
                                           "<end_of_turn>",
                                           "<|endoftext|>",
                                           "</s>",
                                           "<|eom_id|>",
                                           "<EOT>",
                                           "_<EOT>",
                                           "[EOT]",
                                           "[EOS]",
                                           "<|end_of_text|>",
                                           "<eos>",
                                           "<turn|>",
                                           "<end_of_utterance>",
                                           "<｜end▁of▁sentence｜>"};

constexpr size_t kLongestText = 32;

using ByText = std::unordered_map<std::string_view, int32_t>;

// Only tokens that may be one of the texts above.
ByText index_markers(const TokenizerSpec& spec) {
  ByText by_text;
  for (size_t id = 0; id < spec.pieces.size(); ++id) {
    const std::string_view piece = spec.pieces[id];
    const bool marker =
        piece.size() > 3 && piece.size() <= kLongestText &&
        (piece[0] == '<' || piece[0] == '[' || piece[0] == '_' || piece.starts_with("▁<"));
    if (marker) by_text.emplace(piece, static_cast<int32_t>(id));
  }
  return by_text;
}

std::optional<int32_t> find(const ByText& by_text, std::string_view text) {
  const auto found = by_text.find(text);
  return found == by_text.end() ? std::nullopt : std::optional(found->second);
}

// A token with a role must not be spelled by a user's text.
void make_control(TokenizerSpec& spec, int32_t id) {
  TokenKind& kind = spec.kinds[static_cast<size_t>(id)];
  const auto added = std::find_if(spec.added.begin(), spec.added.end(),
                                  [&](const AddedToken& token) { return token.id == id; });
  if (added != spec.added.end()) {
    added->special = true;
  } else {
    AddedToken token;
    token.id = id;
    token.content = spec.pieces[static_cast<size_t>(id)];
    token.special = true;
    spec.added.push_back(std::move(token));
  }
  kind = TokenKind::kControl;
}

}  // namespace

void find_roles(TokenizerSpec& spec, const RoleOrigins& origins) {
  if (spec.kinds.empty()) spec.kinds.assign(spec.pieces.size(), TokenKind::kNormal);
  const ByText by_text = index_markers(spec);
  std::unordered_map<int32_t, std::string> stop;
  const auto add_stop = [&](int32_t id, std::string origin) {
    if (id != kNoToken) stop.emplace(id, std::move(origin));
  };
  add_stop(spec.special.eos, origins.eos);
  add_stop(spec.special.eot, origins.eot);
  add_stop(spec.special.eom, origins.eom);
  for (const Role& role : roles()) {
    for (const std::string_view text : role.texts) {
      if (spec.special.*role.id != kNoToken) break;
      if (const auto id = find(by_text, text)) {
        spec.special.*role.id = *id;
        make_control(spec, *id);
      }
    }
  }
  for (const std::string_view text : kStopTexts) {
    const auto id = find(by_text, text);
    if (!id.has_value()) continue;
    // In some vocabularies </s> is a piece of HTML that any text may spell.
    if (text == "</s>" && spec.kinds[static_cast<size_t>(*id)] != TokenKind::kControl) continue;
    make_control(spec, *id);
    add_stop(*id, cat("its text ", text));
  }
  for (const auto id : {spec.special.fim_pad, spec.special.fim_repo, spec.special.fim_file}) {
    add_stop(id, "a file ends there (fill-in-the-middle)");
  }
  // In the harmony format <|end|> ends a message, and <|return|> or <|call|> the answer.
  const auto end = find(by_text, "<|end|>");
  if (end && find(by_text, "<|return|>") && find(by_text, "<|call|>")) stop.erase(*end);
  spec.stop.clear();
  for (const auto& [id, origin] : stop) spec.stop.push_back({id, origin});
  std::sort(spec.stop.begin(), spec.stop.end(),
            [](const StopToken& a, const StopToken& b) { return a.id < b.id; });
}

void set_adds_bos(TokenizerSpec& spec, bool adds) {
  const int32_t bos = spec.special.bos;
  check(!adds || bos != kNoToken, ErrorCode::kFailed,
        "tokenizer: add_bos_token is true, but no beginning-of-sequence token is named");
  std::erase(spec.prefix, bos);
  if (adds) spec.prefix.insert(spec.prefix.begin(), bos);
}

void set_adds_eos(TokenizerSpec& spec, bool adds) {
  const int32_t eos = spec.special.eos;
  check(!adds || eos != kNoToken, ErrorCode::kFailed,
        "tokenizer: add_eos_token is true, but no end-of-sequence token is named");
  std::erase(spec.suffix, eos);
  if (adds) spec.suffix.push_back(eos);
}

}  // namespace zhiyin
