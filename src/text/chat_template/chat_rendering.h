// From a conversation to the text a model reads, and to the parts of it that a model is to learn.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "text/chat_template/chat_template.h"
#include "text/conversation.h"

namespace zhiyin {

// What a template may read besides messages and tools: an object with bos_token, eos_token,
// enable_thinking and so on.
using TemplateVariables = nlohmann::ordered_json;

// The prompt; with add_generation_prompt it ends where the assistant's answer begins.
// Throws TemplateError.
std::string render_chat(const ChatTemplate& chat_template, const Conversation& conversation,
                        const TemplateVariables& variables, bool add_generation_prompt,
                        const RenderOptions& options = {});

// The conversation as the model sees it when it is over, and in it the answers: from the end of
// the generation prompt to the end of what the template writes for the turn, the mark that ends
// it included. From {% generation %} where the template has it; otherwise each assistant message
// is rendered once as the next and once as the last, so it costs two renders an answer.
// Throws TemplateError, and Error(kUnsupported) when the template writes an answer or what stands
// before it in another way as soon as more follows (some drop the thoughts of earlier turns):
// train on such a conversation answer by answer.
RenderedText render_answers(const ChatTemplate& chat_template, const Conversation& conversation,
                            const TemplateVariables& variables, const RenderOptions& options = {});

}  // namespace zhiyin
