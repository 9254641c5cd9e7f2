// A conversation: the one type that the chats, the chat templates, training and the server
// exchange. JSON forms follow OpenAI's chat completions.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

namespace zhiyin {

struct ContentPart {
  std::string type = "text";  // text, image, audio or video
  std::string text;           // of a text part
  std::string source;         // of the others: a URL, a path or a data: URL; empty: a placeholder
  bool operator==(const ContentPart&) const = default;
};

struct ToolCall {
  std::string id;
  std::string name;
  std::string arguments;  // JSON text of an object
  bool operator==(const ToolCall&) const = default;
};

struct ChatMessage {
  std::string role;                  // system, user, assistant, tool, ...
  std::vector<ContentPart> content;  // empty: no content at all (null)
  // A single text part is shown to a template as a string, as most expect, unless this is set.
  bool content_is_list = false;
  std::string reasoning;  // what an assistant thought before it answered
  std::vector<ToolCall> tool_calls;
  std::string tool_call_id;  // of a tool's message: the call it answers
  std::string name;          // of a tool's message: the function; else of the speaker
  bool operator==(const ChatMessage&) const = default;

  // All text parts, joined without a separator.
  std::string text() const;
};

ChatMessage make_message(std::string role, std::string text);

struct Conversation {
  std::vector<ChatMessage> messages;
  std::vector<std::string> tools;  // JSON texts: {"type": "function", "function": {...}}
  bool operator==(const Conversation&) const = default;
};

// From an array of messages, or an object with "messages" and perhaps "tools". Reasoning is read
// from reasoning_content, reasoning or thinking, arguments of tool calls from text or an object;
// keys that are not named here are passed over. Throws Error(kUsage) that names message and key.
Conversation parse_conversation(const nlohmann::ordered_json& json);

// Templates and most libraries want the arguments of tool calls as an object, OpenAI's API as text.
enum class ArgumentsForm { kObject, kText };
nlohmann::ordered_json to_json(const ChatMessage& message, ArgumentsForm form);
// {"messages": [...]} and, if there are any, "tools": [...].
nlohmann::ordered_json to_json(const Conversation& conversation, ArgumentsForm form);

}  // namespace zhiyin
