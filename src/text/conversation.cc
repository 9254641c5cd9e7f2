#include "text/conversation.h"

#include <nlohmann/json.hpp>

#include "base/error.h"

namespace zhiyin {
namespace {

using Json = nlohmann::ordered_json;

// The value of a key; nullptr when it is absent or null.
const Json* find(const Json& object, const char* key) {
  const auto found = object.find(key);
  return found == object.end() || found->is_null() ? nullptr : &*found;
}

class MessageReader {
 public:
  MessageReader(const Json& json, size_t number) : json_(json), number_(number) {}

  ChatMessage read() {
    require(json_.is_object(), "must be an object, not ", json_.type_name());
    ChatMessage message;
    message.role = text_of(json_, "role");
    require(!message.role.empty(), "has no \"role\"");
    if (const Json* content = find(json_, "content")) read_content(*content, message);
    for (const char* key : {"reasoning_content", "reasoning", "thinking"}) {
      if (message.reasoning.empty()) message.reasoning = text_of(json_, key);
    }
    message.name = text_of(json_, "name");
    message.tool_call_id = text_of(json_, "tool_call_id");
    if (const Json* calls = find(json_, "tool_calls")) {
      require(calls->is_array(), "\"tool_calls\" must be a list, not ", calls->type_name());
      for (const Json& call : *calls) message.tool_calls.push_back(read_call(call));
    }
    return message;
  }

 private:
  template <typename... Parts>
  void require(bool ok, const Parts&... parts) const {
    check(ok, ErrorCode::kUsage, "message ", number_, ": ", parts...);
  }

  std::string text_of(const Json& object, const char* key) const {
    const Json* value = find(object, key);
    if (value == nullptr) return {};
    require(value->is_string(), "\"", key, "\" must be text, not ", value->type_name());
    return value->get<std::string>();
  }

  void read_content(const Json& content, ChatMessage& message) const {
    if (content.is_string()) {
      message.content.push_back({"text", content.get<std::string>(), ""});
      return;
    }
    require(content.is_array(), "\"content\" must be text or a list of parts, not ",
            content.type_name());
    message.content_is_list = true;
    for (const Json& part : content) message.content.push_back(read_part(part));
  }

  ContentPart read_part(const Json& part) const {
    require(part.is_object(), "a part of \"content\" must be an object, not ", part.type_name());
    const std::string type = text_of(part, "type");
    if (type == "text") return {"text", text_of(part, "text"), ""};
    // {"type": "image_url", "image_url": {"url": ...}} and {"type": "image", "image": ...}
    std::string kind = type;
    if (kind.starts_with("input_")) kind.erase(0, 6);
    if (kind.ends_with("_url")) kind.erase(kind.size() - 4);
    require(kind == "image" || kind == "audio" || kind == "video",
            "a part of \"content\" has the type \"", type,
            "\"; known are text, image, audio and video");
    for (const std::string& key : {type, kind, std::string("url")}) {
      const Json* source = find(part, key.c_str());
      if (source == nullptr) continue;
      if (source->is_string()) return {kind, "", source->get<std::string>()};
      if (source->is_object()) {
        std::string url = text_of(*source, "url");
        return {kind, "", url.empty() ? text_of(*source, "data") : std::move(url)};
      }
    }
    return {kind, "", ""};
  }

  ToolCall read_call(const Json& call) const {
    require(call.is_object(), "a tool call must be an object, not ", call.type_name());
    const Json* nested = find(call, "function");
    const Json& function = nested != nullptr && nested->is_object() ? *nested : call;
    ToolCall out{text_of(call, "id"), text_of(function, "name"), "{}"};
    require(!out.name.empty(), "a tool call has no \"name\"");
    if (const Json* arguments = find(function, "arguments")) {
      out.arguments = arguments->is_string() ? arguments->get<std::string>() : arguments->dump();
    }
    return out;
  }

  const Json& json_;
  size_t number_;  // from 1
};

Json part_json(const ContentPart& part) {
  if (part.type == "text") return {{"type", "text"}, {"text", part.text}};
  Json out = {{"type", part.type}};
  if (!part.source.empty()) out[part.type] = part.source;
  return out;
}

Json content_json(const ChatMessage& message) {
  if (message.content.empty() && !message.content_is_list) return nullptr;
  const bool plain = message.content.size() == 1 && message.content[0].type == "text";
  if (plain && !message.content_is_list) return message.content[0].text;
  Json parts = Json::array();
  for (const ContentPart& part : message.content) parts.push_back(part_json(part));
  return parts;
}

Json call_json(const ToolCall& call, ArgumentsForm form) {
  Json arguments = call.arguments;
  if (form == ArgumentsForm::kObject) {
    Json parsed = Json::parse(call.arguments, nullptr, false);
    // A model may have called with broken JSON: the template then sees what it wrote.
    if (!parsed.is_discarded()) arguments = std::move(parsed);
  }
  Json out = Json::object();
  if (!call.id.empty()) out["id"] = call.id;
  out["type"] = "function";
  out["function"] = {{"name", call.name}, {"arguments", std::move(arguments)}};
  return out;
}

}  // namespace

std::string ChatMessage::text() const {
  std::string out;
  for (const ContentPart& part : content) out += part.text;
  return out;
}

ChatMessage make_message(std::string role, std::string text) {
  ChatMessage message;
  message.role = std::move(role);
  message.content.push_back({"text", std::move(text), ""});
  return message;
}

Conversation parse_conversation(const Json& json) {
  const Json* messages = json.is_object() ? find(json, "messages") : &json;
  check(messages != nullptr && messages->is_array(), ErrorCode::kUsage,
        "a conversation must be a list of messages, or an object with the list \"messages\"");
  Conversation out;
  for (const Json& message : *messages) {
    out.messages.push_back(MessageReader(message, out.messages.size() + 1).read());
  }
  if (const Json* tools = json.is_object() ? find(json, "tools") : nullptr) {
    check(tools->is_array(), ErrorCode::kUsage, "\"tools\" must be a list, not ",
          tools->type_name());
    for (const Json& tool : *tools) out.tools.push_back(tool.dump());
  }
  return out;
}

Json to_json(const ChatMessage& message, ArgumentsForm form) {
  Json out = {{"role", message.role}};
  if (!message.name.empty()) out["name"] = message.name;
  if (!message.tool_call_id.empty()) out["tool_call_id"] = message.tool_call_id;
  out["content"] = content_json(message);
  if (!message.reasoning.empty()) out["reasoning_content"] = message.reasoning;
  if (!message.tool_calls.empty()) {
    Json calls = Json::array();
    for (const ToolCall& call : message.tool_calls) calls.push_back(call_json(call, form));
    out["tool_calls"] = std::move(calls);
  }
  return out;
}

Json to_json(const Conversation& conversation, ArgumentsForm form) {
  Json messages = Json::array();
  for (const ChatMessage& message : conversation.messages)
    messages.push_back(to_json(message, form));
  Json out = {{"messages", std::move(messages)}};
  if (!conversation.tools.empty()) {
    Json tools = Json::array();
    for (const std::string& tool : conversation.tools) tools.push_back(Json::parse(tool));
    out["tools"] = std::move(tools);
  }
  return out;
}

}  // namespace zhiyin
