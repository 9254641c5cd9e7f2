// What a model is asked by this folder's own questions.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "text/tokenizer.h"
#include "zhiyin/generate.h"

namespace zhiyin {

// A question as a user asks it.
inline GenerateRequest question_request(const std::string& question) {
  GenerateRequest request;
  request.messages = nlohmann::json::array({{{"role", "user"}, {"content", question}}}).dump();
  return request;
}

// To go on from a rendered prompt. One may begin with the BOS that raw prompts get anyway; it is
// taken off.
inline GenerateRequest raw_request(const Tokenizer& tokenizer, std::string rendered) {
  std::string added;
  for (const int32_t id : tokenizer.prefix()) added += tokenizer.token_bytes(id);
  if (!added.empty() && rendered.starts_with(added)) rendered.erase(0, added.size());
  GenerateRequest request;
  request.raw_prompt = std::move(rendered);
  return request;
}

// The likeliest token each time, and nothing but the model decides: the same model gives the same
// answer.
inline void make_greedy(GenerateRequest& request, int64_t max_tokens) {
  request.sampling.temperature = 0;
  request.sampling.repeat_penalty = 1;
  request.max_tokens = max_tokens;
}

}  // namespace zhiyin
