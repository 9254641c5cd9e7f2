// A tokenizer as the files of a Hugging Face folder: the way back of spec_json.h, for tokenizers
// that came from a GGUF.
#pragma once

#include <string>
#include <string_view>

#include "text/tokenizer_spec.h"

namespace zhiyin {

// tokenizer.json as the library tokenizers reads it. Byte-level BPE and SentencePiece's BPE (whose
// scores become merges); throws kUnsupported for other models and for added tokens with rules of
// white space.
std::string tokenizer_json(const TokenizerSpec& spec);

// tokenizer_config.json: special tokens, class, context length. `eos` replaces the spec's where it
// is not kNoToken.
std::string tokenizer_config_json(const TokenizerSpec& spec, int32_t eos, int64_t max_positions);

}  // namespace zhiyin
