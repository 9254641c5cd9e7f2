// What each token adds to the text when decoding.
#pragma once

#include <string>
#include <string_view>

#include "text/tokenizer_spec.h"

namespace zhiyin {

class PieceText {
 public:
  explicit PieceText(const TokenizerSpec& spec);
  std::string_view operator[](size_t id) const { return texts_[id]; }

 private:
  StringTable texts_;
};

}  // namespace zhiyin
