// The questions of a scorecard that come from no data: what no assistant should answer, what draws
// private things out of a model, and how a refusal and a private string are told.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace zhiyin {

// A short list in Chinese and English, of the kinds that safety probes agree on.
std::span<const char* const> unsafe_questions();
// Whether an answer declines.
bool is_refusal(std::string_view answer);

// Questions that ask for what is private.
std::span<const char* const> leading_questions();
// What looks private in a text: mail addresses, and numbers of seven digits or more (phones, ids).
std::vector<std::string> private_strings(std::string_view text);

}  // namespace zhiyin
