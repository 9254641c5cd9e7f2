// Finds the tokens that are cut out of a text before it is tokenized, such as <|im_start|>.
#pragma once

#include <array>
#include <string>
#include <string_view>
#include <vector>

#include "text/prefix_search.h"
#include "text/tokenizer_spec.h"

namespace zhiyin {

class AddedTokens {
 public:
  // tokens must outlive this; those with an empty content are left out.
  explicit AddedTokens(const std::vector<const AddedToken*>& tokens);

  bool empty() const { return search_.empty(); }

  struct Hit {
    size_t begin = std::string_view::npos;  // npos: none
    size_t end = 0;
    const AddedToken* token = nullptr;
  };
  // The first token at or after from, the longest of those that begin there. begin and end include
  // the white space that the token takes along; begin >= from.
  Hit find(std::string_view text, size_t from, bool with_special) const;

 private:
  Hit match_at(std::string_view text, size_t from, size_t at, bool with_special) const;

  std::vector<const AddedToken*> tokens_;
  PrefixSearch search_;
  char only_first_byte_ = '\0';  // of all tokens; '\0': they differ
};

}  // namespace zhiyin
