// Questions as people open a chat with, in Chinese and English: what a persona is asked beside its
// training rows. Answers are not judged by them; quantisers read the model's own.
#pragma once

#include <span>

namespace zhiyin {

std::span<const char* const> everyday_questions();

}  // namespace zhiyin
