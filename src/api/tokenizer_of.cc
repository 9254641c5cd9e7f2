#include "api/tokenizer_of.h"

#include "base/error.h"
#include "text/spec_gguf.h"
#include "text/spec_json.h"

namespace zhiyin {
namespace {

constexpr const char* kPrefix = "tokenizer.ggml.";

std::string key(const char* name) { return std::string(kPrefix) + name; }

}  // namespace

TokenizerSpec gguf_tokenizer_spec(const GgufMetadata& m) {
  GgufTokenizerFields f;
  f.model = m.find_string(key("model")).value_or("");
  f.pre = m.find_string(key("pre"));
  f.tokens = m.find_strings(key("tokens")).value_or(std::vector<std::string_view>{});
  f.scores = m.find_floats(key("scores")).value_or(std::vector<float>{});
  f.token_types = m.find_integers(key("token_type")).value_or(std::vector<int64_t>{});
  f.merges = m.find_strings(key("merges")).value_or(std::vector<std::string_view>{});
  if (const GgufField* field = m.find(key("precompiled_charsmap"))) {
    f.precompiled_charsmap = {reinterpret_cast<const char*>(field->value.data()),
                              field->value.size()};
  }
  const auto id = [&](const char* name, const char* other = nullptr) -> std::optional<int64_t> {
    if (const auto found = m.find_i64(key(name))) return found;
    return other != nullptr ? m.find_i64(key(other)) : std::nullopt;
  };
  f.bos = id("bos_token_id");
  f.eos = id("eos_token_id");
  f.eot = id("eot_token_id");
  f.eom = id("eom_token_id");
  f.unknown = id("unknown_token_id");
  f.separator = id("seperator_token_id");
  f.padding = id("padding_token_id");
  f.cls = id("cls_token_id");
  f.mask = id("mask_token_id");
  f.fim_prefix = id("fim_pre_token_id", "prefix_token_id");
  f.fim_suffix = id("fim_suf_token_id", "suffix_token_id");
  f.fim_middle = id("fim_mid_token_id", "middle_token_id");
  f.fim_pad = id("fim_pad_token_id");
  f.fim_repo = id("fim_rep_token_id");
  f.fim_file = id("fim_sep_token_id");
  f.add_bos = m.find_bool(key("add_bos_token"));
  f.add_eos = m.find_bool(key("add_eos_token"));
  f.add_space_prefix = m.find_bool(key("add_space_prefix"));
  f.remove_extra_whitespaces = m.find_bool(key("remove_extra_whitespaces"));
  f.lowercase = m.find_bool(key("normalizer.lowercase"));
  f.strip_accents = m.find_bool(key("normalizer.strip_accents"));
  return tokenizer_spec_from_gguf(f);
}

std::optional<TokenizerSpec> tokenizer_spec_of(const ModelFiles& files) {
  if (files.gguf) {
    if (!files.gguf->metadata().has(key("model"))) return std::nullopt;
    return gguf_tokenizer_spec(files.gguf->metadata());
  }
  const std::string_view config = files.tokenizer_file("tokenizer_config.json").value_or("");
  if (const auto json = files.tokenizer_file("tokenizer.json")) {
    return tokenizer_spec_from_json(*json, config);
  }
  const auto vocabulary = files.tokenizer_file("vocab.json");
  const auto merges = files.tokenizer_file("merges.txt");
  if (vocabulary && merges) return tokenizer_spec_from_merges(*vocabulary, *merges, config);
  if (const auto words = files.tokenizer_file("vocab.txt")) {
    return tokenizer_spec_from_wordpieces(*words, config);
  }
  return std::nullopt;
}

std::unique_ptr<Tokenizer> tokenizer_of(const ModelFiles& files) {
  std::optional<TokenizerSpec> spec = tokenizer_spec_of(files);
  return spec ? make_tokenizer(*std::move(spec)) : nullptr;
}

std::optional<int32_t> first_other_token(const Tokenizer& tokenizer, const Tokenizer& other) {
  for (int32_t id = 0; id < tokenizer.vocab_size(); ++id) {
    if (tokenizer.kind(id) == TokenKind::kUnused) continue;
    const bool same = id < other.vocab_size() &&
                      other.token_bytes(id) == tokenizer.token_bytes(id) &&
                      other.is_special(id) == tokenizer.is_special(id);
    if (!same) return id;
  }
  return std::nullopt;
}

}  // namespace zhiyin
