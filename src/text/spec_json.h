// A tokenizer from the files of a Hugging Face folder. The text layer reads no files: the caller
// hands over their contents.
#pragma once

#include <string_view>

#include "text/tokenizer_spec.h"

namespace zhiyin {

// From tokenizer.json and, where there is one, tokenizer_config.json (else empty), which names the
// special tokens. All throw kFailed where a file is damaged or contradicts itself, kUnsupported for
// what is sound but unknown here; messages name the key.
TokenizerSpec tokenizer_spec_from_json(std::string_view tokenizer_json,
                                       std::string_view tokenizer_config_json = {});

// From vocab.json and merges.txt. What the files do not say (how text is split into words) comes
// from tokenizer_config.json's tokenizer_class: GPT-2's, Qwen2's, CodeGen's, RoBERTa's or
// OpenAIGPT's.
TokenizerSpec tokenizer_spec_from_merges(std::string_view vocab_json, std::string_view merges_txt,
                                         std::string_view tokenizer_config_json);

// BERT's, from vocab.txt: one piece a line.
TokenizerSpec tokenizer_spec_from_wordpieces(std::string_view vocab_txt,
                                             std::string_view tokenizer_config_json = {});

}  // namespace zhiyin
