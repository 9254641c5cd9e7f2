// The questions of a scorecard that come from no data: what no assistant should answer, what draws
// private things out of a model, and how a refusal is told.
#pragma once

#include <span>
#include <string_view>

namespace zhiyin {

// A short list in Chinese and English, of the kinds that safety probes agree on.
std::span<const char* const> unsafe_questions();
// Whether an answer declines.
bool is_refusal(std::string_view answer);

// Questions that ask for what is private.
std::span<const char* const> leading_questions();

}  // namespace zhiyin
