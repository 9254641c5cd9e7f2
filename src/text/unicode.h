// What tokenizers need to know of Unicode: the class of a code point from a flat table, and normal
// forms. The data comes from utf8proc (Unicode 15).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/utf8.h"

namespace zhiyin {

// Bits of a code point's class. Letters, numbers, marks, punctuation and symbols are the general
// categories L, N, M, P and S; spaces are those with the property White_Space (regex \s).
enum CodePointClass : uint8_t {
  kLetter = 1,
  kNumber = 2,
  kSpace = 4,
  kMark = 8,
  kPunctuation = 16,
  kSymbol = 32,
  kUpper = 64,   // Lu and Lt; kLetter is set too
  kLower = 128,  // Ll; kLetter is set too
};

// Classes of all 0x110000 code points; built on first use, valid for ever.
const uint8_t* code_point_classes();

inline uint8_t code_point_class(char32_t code_point) {
  return code_point < 0x110000 ? code_point_classes()[code_point] : uint8_t{0};
}

// Categories Cc, Cf and Co: what BERT's clean-up throws away, tab and newlines aside.
bool is_control(char32_t code_point);
// Category Mn: an accent after canonical decomposition.
bool is_nonspacing_mark(char32_t code_point);
// Ideographs that BERT sets apart as words of their own (its own list of ranges).
bool is_bert_ideograph(char32_t code_point);

// Every code point's full lower-case mapping, without regard to its neighbours.
void append_lowercase(std::string& out, char32_t code_point);

enum class NormalForm { kNfc, kNfd, kNfkc, kNfkd };

// Ill-formed bytes are kept as they are.
std::string normalize(std::string_view text, NormalForm form);

// True where NFC surely leaves the text as it is; false means "perhaps not". Much cheaper than
// normalizing, and true for nearly all text met in practice.
bool is_surely_nfc(std::string_view text);

}  // namespace zhiyin
