// Hand-written matchers for the pre-tokenizer patterns of the known model families. Each finds
// exactly what its regular expression finds, many times faster; a test holds them to that.
#pragma once

#include <cstddef>
#include <string_view>
#include <vector>

#include "text/text_span.h"

namespace zhiyin {

inline constexpr size_t kNoMatch = static_cast<size_t>(-1);

// The first non-empty match at or after from; begin == kNoMatch where there is none. Ill-formed
// bytes belong to no class.
using Scanner = TextSpan (*)(std::string_view text, size_t from);

// The scanner for a pattern written exactly so, or null.
Scanner find_scanner(std::string_view pattern);

// The patterns that have a scanner, for tests.
std::vector<std::string_view> scanned_patterns();

// The patterns of model families, by the name they have in scanner.cc's table.
namespace pattern {
extern const char kGpt2[];
extern const char kLlama3[];
extern const char kQwen2[];
extern const char kQwen35[];
extern const char kSeedCoder[];
extern const char kGpt4o[];
extern const char kTekken[];
extern const char kKimiK2[];
extern const char kDeepSeekV3[];
extern const char kDeepSeekV3Cjk[];
extern const char kDeepSeekLetters[];
extern const char kDeepSeekPunctuation[];
extern const char kDeepSeekCjk[];
extern const char kNewline[];
extern const char kSpace[];
extern const char kTrailingSpace[];
extern const char kSpaceLetters[];
extern const char kSpacePunctuation[];
extern const char kDigit[];
extern const char kDigits[];
extern const char kDigits3[];
extern const char kBertPunctuation[];
extern const char kWordOrSymbols[];
extern const char kLines[];
extern const char kMetaspace[];
extern const char kMetaspaceWords[];
}  // namespace pattern

}  // namespace zhiyin
