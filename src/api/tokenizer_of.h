// From opened files to a tokenizer: the one place where io and text meet.
#pragma once

#include <memory>
#include <optional>

#include "io/model_files.h"
#include "text/tokenizer.h"

namespace zhiyin {

// What the tokenizer.ggml.* keys of a GGUF say.
TokenizerSpec gguf_tokenizer_spec(const GgufMetadata& metadata);

// nullopt where the files hold no tokenizer. Throws what the readers of src/text throw.
std::optional<TokenizerSpec> tokenizer_spec_of(const ModelFiles& files);

// nullptr where the files hold no tokenizer. Throws what the readers of src/text throw.
std::unique_ptr<Tokenizer> tokenizer_of(const ModelFiles& files);

// The first token, unused ones aside, that is not the same text in `other`, or special in one of
// them alone; nullopt where `other` has all.
std::optional<int32_t> first_other_token(const Tokenizer& tokenizer, const Tokenizer& other);

}  // namespace zhiyin
