// A tokenizer from the metadata of a GGUF file. The text layer reads no files: the caller fills
// GgufTokenizerFields from the keys named here.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "text/tokenizer_spec.h"

namespace zhiyin {

// Keys are "tokenizer.ggml." and the name behind each field. Views need to live only until
// tokenizer_spec_from_gguf() returns.
struct GgufTokenizerFields {
  std::string_view model;                     // model: gpt2, llama, bert, t5, gemma4
  std::optional<std::string_view> pre;        // pre
  std::vector<std::string_view> tokens;       // tokens
  std::vector<float> scores;                  // scores
  std::vector<int64_t> token_types;           // token_type
  std::vector<std::string_view> merges;       // merges, each "left right"
  std::string_view precompiled_charsmap;      // precompiled_charsmap
  std::optional<int64_t> bos, eos, eot, eom;  // bos_token_id, eos_, eot_, eom_
  std::optional<int64_t> unknown;             // unknown_token_id
  std::optional<int64_t> separator;           // seperator_token_id (so misspelt in real files)
  std::optional<int64_t> padding, cls, mask;  // padding_token_id, cls_, mask_
  std::optional<int64_t> fim_prefix;          // fim_pre_token_id, or prefix_token_id
  std::optional<int64_t> fim_suffix;          // fim_suf_token_id, or suffix_token_id
  std::optional<int64_t> fim_middle;          // fim_mid_token_id, or middle_token_id
  std::optional<int64_t> fim_pad, fim_repo, fim_file;  // fim_pad_token_id, fim_rep_, fim_sep_
  std::optional<bool> add_bos, add_eos;                // add_bos_token, add_eos_token
  std::optional<bool> add_space_prefix;                // add_space_prefix
  std::optional<bool> remove_extra_whitespaces;        // remove_extra_whitespaces
  std::optional<bool> lowercase;                       // normalizer.lowercase
  std::optional<bool> strip_accents;                   // normalizer.strip_accents
};

// Throws kUnsupported for an unknown model or pre-tokenizer (naming those known), kFailed where the
// fields contradict each other.
TokenizerSpec tokenizer_spec_from_gguf(const GgufTokenizerFields& fields);

// The steps of a pre-tokenizer by the name GGUF gives it, such as "qwen2"; throws kUnsupported.
std::vector<PreTokenizerStep> gguf_pre_tokenizer(std::string_view name);
// The name of a pre-tokenizer that normalizes and splits text as a byte-level spec does, nullopt
// where GGUF knows none.
std::optional<std::string_view> gguf_pre_tokenizer_name(const TokenizerSpec& spec);
// All names it takes.
std::vector<std::string_view> gguf_pre_tokenizer_names();

}  // namespace zhiyin
