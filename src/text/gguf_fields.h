// A tokenizer as the fields of a GGUF file: the way back of spec_gguf.h, for tokenizers that came
// from the files of a Hugging Face folder.
#pragma once

#include <cstdint>
#include <memory>

#include "text/spec_gguf.h"
#include "text/tokenizer_spec.h"

namespace zhiyin {

struct GgufTokenizer {
  GgufTokenizerFields fields;          // shows the strings below
  std::unique_ptr<StringTable> texts;  // tokens, then merges
};

// Byte-level BPE (Qwen2, Llama 3, GPT-2 and others whose way of splitting words has a GGUF name)
// becomes model "gpt2"; BPE with byte pieces (Llama 2) becomes "llama", its merges turned into
// scores. `vocab_size` is the number of rows of the embedding; ids that no token has are filled
// with unused ones, as llama.cpp's converter does. Throws kUnsupported, saying which part, for what
// a GGUF cannot say, and kFailed where the tokenizer has more tokens than the model.
GgufTokenizer gguf_tokenizer(const TokenizerSpec& spec, int64_t vocab_size);

}  // namespace zhiyin
