// ChatGPT's conversations.json (and its shards, and single conversations as browser extensions
// write them). A conversation is a tree: editing a question or asking again adds a branch. The
// thread in use leads from current_node up to the root; the other branches are recorded as such.
// One conversation at a time is held in memory. docs/formats/chat-exports.md has the rules.
#include <algorithm>
#include <unordered_set>
#include <vector>

#include "base/error.h"
#include "base/mmap_file.h"
#include "chats/ascii.h"
#include "chats/importer.h"
#include "chats/json_fields.h"

namespace zhiyin::chats {
namespace {

// Marks that stand for links to sources: U+E200 … U+E201, and the older 【12†source】.
void strip_citations(std::string& text) {
  constexpr std::string_view kOpen = "\uE200", kClose = "\uE201";
  for (size_t at = 0; (at = text.find(kOpen, at)) != std::string::npos;) {
    const size_t end = text.find(kClose, at);
    if (end == std::string::npos) break;
    text.erase(at, end + kClose.size() - at);
  }
  constexpr std::string_view kOldOpen = "【", kDagger = "†", kOldClose = "】";
  for (size_t at = 0; (at = text.find(kOldOpen, at)) != std::string::npos;) {
    const size_t end = text.find(kOldClose, at);
    if (end == std::string::npos) break;
    if (text.find(kDagger, at) < end) {
      text.erase(at, end + kOldClose.size() - at);
    } else {
      at = end;
    }
  }
}

// The words of a text or multimodal_text message; pictures leave a placeholder.
std::string content_text(const Json& content) {
  std::string text;
  const auto append = [&](const std::string& part) {
    if (part.empty()) return;
    if (!text.empty()) text += '\n';
    text += part;
  };
  for (const Json& part : field(content, "parts")) {
    if (part.is_string()) {
      append(part.get<std::string>());
    } else if (const std::string type = text_field(part, "content_type");
               type == "image_asset_pointer") {
      append("[图片]");
    } else if (type == "audio_transcription") {
      append(text_field(part, "text"));
    }
  }
  strip_citations(text);
  return std::string(trim(text));
}

// Who speaks to whom, and whether it was on the screen.
void read_node_message(const Json& node_message, Message& message) {
  const std::string role = text_field(field(node_message, "author"), "role");
  const std::string recipient = text_field(node_message, "recipient");
  const Json& content = field(node_message, "content");
  const std::string type = text_field(content, "content_type");
  const Json& hidden =
      field(field(node_message, "metadata"), "is_visually_hidden_from_conversation");
  if (role == "user") {
    message.sender = "me";
    message.sender_name = "user";
    message.side = Side::kOwner;
  } else if (role == "assistant") {
    message.sender = "assistant";
    message.sender_name = "ChatGPT";
    message.side = Side::kMachine;
  }
  const bool to_all = recipient.empty() || recipient == "all";
  if (role == "tool" || (role == "assistant" && !to_all) || type == "code" ||
      type == "execution_output") {
    message.kind = MessageKind::kTool;
  } else if (message.side == Side::kNobody || (hidden.is_boolean() && hidden.get<bool>()) ||
             (type != "text" && type != "multimodal_text")) {
    message.kind = MessageKind::kHidden;
  } else {
    message.text = content_text(content);
    // Empty nodes are scaffolding between a question and what a tool did for it.
    if (message.text.empty()) message.kind = MessageKind::kHidden;
  }
}

// The thread in use, from the root down. Damaged trees: a current_node that leads nowhere gives
// way to the newest leaf, and a circle ends where it closes.
std::vector<std::string> active_thread(const Json& conversation, const Json& mapping) {
  std::string at = text_field(conversation, "current_node");
  if (!mapping.contains(at)) {
    std::unordered_set<std::string> parents;
    for (const Json& node : mapping) parents.insert(text_field(node, "parent"));
    int64_t newest = -1;
    for (const auto& [id, node] : mapping.items()) {
      const int64_t time = time_field(field(node, "message"), "create_time");
      if (parents.contains(id) || time <= newest) continue;
      newest = time;
      at = id;
    }
  }
  std::vector<std::string> thread;
  std::unordered_set<std::string> seen;
  while (mapping.contains(at) && seen.insert(at).second) {
    thread.push_back(at);
    at = text_field(mapping[at], "parent");
  }
  std::reverse(thread.begin(), thread.end());
  return thread;
}

void read_conversation(const Json& conversation, Message place, const MessageSink& sink) {
  const Json& mapping = field(conversation, "mapping");
  for (const char* key : {"conversation_id", "id"}) {
    if (place.talk.empty()) place.talk = text_field(conversation, key);
  }
  if (place.talk.empty()) place.talk = cat(place.file, "#", place.line);
  place.time = time_field(conversation, "create_time");

  const std::vector<std::string> thread = active_thread(conversation, mapping);
  const auto send = [&](const std::string& id, bool active) {
    const Json& node_message = field(mapping[id], "message");
    if (!node_message.is_object()) return;  // the root, and other nodes that only join
    // The order of the thread is what counts, so its times never go back.
    place.time = std::max(place.time, time_field(node_message, "create_time"));
    Message message = place;
    message.server_id = id;
    read_node_message(node_message, message);
    if (!active) message.kind = MessageKind::kBranch;
    sink(std::move(message));
  };
  for (const std::string& id : thread) send(id, true);
  const std::unordered_set<std::string> active(thread.begin(), thread.end());
  for (const auto& [id, node] : mapping.items()) {
    if (!active.contains(id)) send(id, false);
  }
}

void read(const std::string& path, const MessageSink& sink) {
  const MmapFile file(path);
  const char* begin = reinterpret_cast<const char*>(file.data());
  int64_t conversations = 0;
  // The array, {"conversations": [...]}, or a conversation by itself; each is let go when read.
  constexpr int kDeepest = 2;
  const auto each_value = [&](int depth, Json::parse_event_t event, Json& value) {
    if (event != Json::parse_event_t::object_end || depth > kDeepest) return true;
    if (!field(value, "mapping").is_object()) return true;
    Message place;
    place.file = path;
    place.line = ++conversations;
    read_conversation(value, std::move(place), sink);
    return false;
  };
  try {
    [[maybe_unused]] const Json rest = Json::parse(begin, begin + file.size(), each_value);
  } catch (const Json::exception& error) {
    fail(ErrorCode::kFailed, path, ": is damaged after ", conversations,
         " conversations; export it again (", error.what(), ")");
  }
}

bool recognises(std::string_view head) {
  const size_t start = head.find_first_not_of(" \t\r\n\xEF\xBB\xBF");
  if (start == std::string_view::npos || (head[start] != '[' && head[start] != '{')) return false;
  return head.find("\"mapping\"") != std::string_view::npos;
}

}  // namespace

extern const Importer chatgpt_json_importer;
const Importer chatgpt_json_importer = {"chatgpt-json", "ChatGPT's conversations.json", recognises,
                                        read};

}  // namespace zhiyin::chats
