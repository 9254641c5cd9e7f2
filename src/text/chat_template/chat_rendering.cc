#include "text/chat_template/chat_rendering.h"

#include <nlohmann/json.hpp>

#include "base/error.h"

namespace zhiyin {
namespace {

using Json = nlohmann::ordered_json;

Json make_context(const Conversation& conversation, const Json& variables,
                  bool add_generation_prompt) {
  check(variables.is_object(), ErrorCode::kUsage,
        "the variables of a chat template must be a JSON object, not ", variables.type_name());
  Json context = variables;
  const Json chat = to_json(conversation, ArgumentsForm::kObject);
  for (const auto& [key, value] : chat.items()) context[key] = value;
  context["add_generation_prompt"] = add_generation_prompt;
  return context;
}

}  // namespace

std::string render_chat(const ChatTemplate& chat_template, const Conversation& conversation,
                        const Json& variables, bool add_generation_prompt,
                        const RenderOptions& options) {
  return chat_template.render(make_context(conversation, variables, add_generation_prompt),
                              options);
}

RenderedText render_answers(const ChatTemplate& chat_template, const Conversation& conversation,
                            const Json& variables, const RenderOptions& options) {
  Json context = make_context(conversation, variables, false);
  RenderedText whole = chat_template.render_with_spans(context, options);
  if (!whole.generated.empty()) return whole;
  const Json messages = context.at("messages");
  Json& shown = context["messages"] = Json::array();
  for (const Json& message : messages) {
    if (message.at("role") == "assistant") {
      context["add_generation_prompt"] = true;
      const std::string before = chat_template.render(context, options);
      shown.push_back(message);
      context["add_generation_prompt"] = false;
      const std::string after = chat_template.render(context, options);
      check(after.starts_with(before) && whole.text.starts_with(after), ErrorCode::kUnsupported,
            "chat template ", chat_template.name(), ": message ", shown.size(),
            " is not written the same way as the last one and as one of many; train on the"
            " answers one by one");
      whole.generated.push_back({before.size(), after.size()});
    } else {
      shown.push_back(message);
    }
  }
  return whole;
}

}  // namespace zhiyin
