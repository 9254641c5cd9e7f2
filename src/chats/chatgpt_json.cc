// ChatGPT's exports: conversations.json, its shards, single conversations as browser extensions
// write them, and chat.html, which holds the same list in a script. A conversation is a tree:
// editing a question or asking again adds a branch. The thread in use leads from current_node up to
// the root; the other branches are recorded as such. One conversation at a time is held in memory,
// and one that cannot be read costs itself alone. docs/formats/chat-exports.md has the rules.
#include <algorithm>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/error.h"
#include "chats/ascii.h"
#include "chats/importer.h"
#include "chats/json_objects.h"

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
  return text;
}

// What the user has told about himself and how to answer, in either of its two places; empty in any
// other message.
std::string instructions(const Json& node_message) {
  const Json& content = field(node_message, "content");
  const Json& context = field(field(node_message, "metadata"), "user_context_message_data");
  std::string text;
  for (const std::string& part :
       {text_field(content, "user_profile"), text_field(content, "user_instructions"),
        text_field(content, "model_set_context"), text_field(context, "about_user_message"),
        text_field(context, "about_model_message")}) {
    if (trim(part).empty()) continue;
    if (!text.empty()) text += '\n';
    text += trim(part);
  }
  return text;
}

// Who speaks to whom, and whether it was on the screen. The text keeps its blanks at both ends.
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
  message.text = instructions(node_message);
  if (!message.text.empty()) {
    message.kind = MessageKind::kInstructions;
  } else if (role == "tool" || (role == "assistant" && !to_all) || type == "code" ||
             type == "execution_output") {
    message.kind = MessageKind::kTool;
  } else if (message.side == Side::kNobody || (hidden.is_boolean() && hidden.get<bool>()) ||
             (type != "text" && type != "multimodal_text")) {
    message.kind = MessageKind::kHidden;
  } else {
    message.text = content_text(content);
    // Empty nodes are scaffolding between a question and what a tool did for it.
    if (trim(message.text).empty()) message.kind = MessageKind::kHidden;
  }
}

struct Node {
  std::string_view id;
  const Json* message;  // nullptr: it only joins others, as the root does
  int parent = -1;
  std::string channel = {};
};

// The nodes of a conversation and how they hang together, whatever of it the export has kept:
// a lost parent is known from the children of another node.
class Tree {
 public:
  explicit Tree(const Json& mapping) {
    for (const auto& [id, node] : mapping.items()) {
      const Json& message = field(node, "message");
      index_.emplace(id, static_cast<int>(nodes_.size()));
      nodes_.push_back({id, message.is_object() ? &message : nullptr});
      if (message.is_object()) nodes_.back().channel = text_field(message, "channel");
    }
    size_t at = 0;
    for (const Json& node : mapping) nodes_[at++].parent = find(text_field(node, "parent"));
    at = 0;
    for (const Json& node : mapping) {
      for (const Json& child : field(node, "children")) {
        const int index = child.is_string() ? find(child.get<std::string>()) : -1;
        if (index >= 0 && nodes_[static_cast<size_t>(index)].parent < 0) {
          nodes_[static_cast<size_t>(index)].parent = static_cast<int>(at);
        }
      }
      ++at;
    }
  }

  const std::vector<Node>& nodes() const { return nodes_; }

  // Indices of the thread in use, from the root down. A current_node that leads nowhere gives way
  // to the newest leaf, of equal ones to the deepest; a circle ends where it closes.
  std::vector<int> active_thread(const std::string& current_node) const {
    int at = find(current_node);
    if (at < 0) at = newest_leaf();
    std::vector<int> thread;
    std::vector<bool> seen(nodes_.size());
    for (; at >= 0 && !seen[static_cast<size_t>(at)]; at = nodes_[static_cast<size_t>(at)].parent) {
      seen[static_cast<size_t>(at)] = true;
      thread.push_back(at);
    }
    std::reverse(thread.begin(), thread.end());
    return thread;
  }

 private:
  int find(const std::string& id) const {
    const auto found = index_.find(id);
    return found == index_.end() ? -1 : found->second;
  }

  int newest_leaf() const {
    std::vector<bool> is_parent(nodes_.size());
    for (const Node& node : nodes_) {
      if (node.parent >= 0) is_parent[static_cast<size_t>(node.parent)] = true;
    }
    const std::vector<int> depth = depths();
    int newest = -1;
    std::pair<int64_t, int> best = {-1, -1};
    for (size_t i = 0; i < nodes_.size(); ++i) {
      const int64_t time =
          nodes_[i].message == nullptr ? 0 : time_field(*nodes_[i].message, "create_time");
      const std::pair<int64_t, int> rank = {time, depth[i]};
      if (is_parent[i] || rank <= best) continue;
      best = rank;
      newest = static_cast<int>(i);
    }
    return newest;
  }

  // Every node's distance from its root, or from where a circle was entered.
  std::vector<int> depths() const {
    constexpr int kUnknown = -1, kOnTheWay = -2;
    std::vector<int> depth(nodes_.size(), kUnknown);
    std::vector<size_t> way;
    for (size_t i = 0; i < nodes_.size(); ++i) {
      int at = static_cast<int>(i);
      while (at >= 0 && depth[static_cast<size_t>(at)] == kUnknown) {
        depth[static_cast<size_t>(at)] = kOnTheWay;
        way.push_back(static_cast<size_t>(at));
        at = nodes_[static_cast<size_t>(at)].parent;
      }
      int next = at < 0 || depth[static_cast<size_t>(at)] == kOnTheWay
                     ? 0
                     : depth[static_cast<size_t>(at)] + 1;
      for (; !way.empty(); way.pop_back()) depth[way.back()] = next++;
    }
    return depth;
  }

  std::vector<Node> nodes_;
  std::unordered_map<std::string, int> index_;
};

using Ratings = std::unordered_map<std::string, int>;  // by the id of the message

// Assistant texts in a row are one answer: what "continue generating" adds goes on in the middle of
// a word, anything else is a paragraph of its own. Blanks at the ends of an answer go.
void join_answers(std::vector<Message>& thread, const std::vector<std::string>& channels) {
  const auto is_answer = [&](size_t i) {
    return i < thread.size() && thread[i].side == Side::kMachine &&
           thread[i].kind == MessageKind::kText;
  };
  const auto continues = [&](size_t i) {
    return i > 0 && is_answer(i) && is_answer(i - 1) && channels[i] == channels[i - 1];
  };
  for (size_t i = 0; i < thread.size(); ++i) {
    std::string& text = thread[i].text;
    const size_t begin = continues(i) ? 0 : text.size() - trim_left(text).size();
    const size_t end = continues(i + 1) ? text.size() : trim_right(text).size();
    text = end <= begin ? std::string() : text.substr(begin, end - begin);
    if (is_answer(i)) thread[i].joint = continues(i) ? "" : "\n\n";
  }
}

void read_conversation(const Json& conversation, Message place, const Ratings& ratings,
                       const MessageSink& sink) {
  for (const char* key : {"conversation_id", "id"}) {
    if (place.talk.empty()) place.talk = text_field(conversation, key);
  }
  if (place.talk.empty()) place.talk = cat(place.file, "#", place.line);
  place.time = time_field(conversation, "create_time");

  const Tree tree(field(conversation, "mapping"));
  const std::vector<Node>& nodes = tree.nodes();
  const auto message_of = [&](size_t index) {
    const Node& node = nodes[index];
    // The order of the thread is what counts, so its times never go back.
    place.time = std::max(place.time, time_field(*node.message, "create_time"));
    Message message = place;
    message.server_id = node.id;
    if (node.parent >= 0) message.parent = nodes[static_cast<size_t>(node.parent)].id;
    read_node_message(*node.message, message);
    for (const std::string& id : {std::string(node.id), text_field(*node.message, "id")}) {
      if (const auto rating = ratings.find(id); rating != ratings.end()) {
        message.rating = rating->second;
      }
    }
    return message;
  };
  std::vector<Message> thread;
  std::vector<std::string> channels;
  std::vector<bool> active(nodes.size());
  for (const int index : tree.active_thread(text_field(conversation, "current_node"))) {
    active[static_cast<size_t>(index)] = true;
    if (nodes[static_cast<size_t>(index)].message == nullptr) continue;
    thread.push_back(message_of(static_cast<size_t>(index)));
    channels.push_back(nodes[static_cast<size_t>(index)].channel);
  }
  join_answers(thread, channels);
  for (Message& message : thread) sink(std::move(message));
  for (size_t i = 0; i < nodes.size(); ++i) {
    if (active[i] || nodes[i].message == nullptr) continue;
    Message message = message_of(i);
    // The words of a branch that was on the screen stay, for what was preferred to what.
    message.text = message.kind == MessageKind::kText ? std::string(trim(message.text)) : "";
    message.kind = MessageKind::kBranch;
    sink(std::move(message));
  }
}

constexpr std::string_view kFeedback = "message_feedback.json";

// The thumbs up and down beside the conversations.
Ratings read_ratings(const InputFile& file) {
  Ratings ratings;
  const std::optional<InputFile> feedback = file.sibling(kFeedback);
  if (!feedback) return ratings;
  const Json list = parse_tolerantly(feedback->read_all());
  if (!list.is_array()) return ratings;
  for (const Json& entry : list) {
    const std::string rating = ascii_lower(text_field(entry, "rating"));
    const int value = rating.find("up") != std::string::npos     ? 1
                      : rating.find("down") != std::string::npos ? -1
                                                                 : 0;
    for (const char* key : {"id", "message_id"}) {
      const std::string id = text_field(entry, key);
      if (value != 0 && !id.empty()) ratings[id] = value;
    }
  }
  return ratings;
}

void read_all(const InputFile& file, JsonObjects& objects, const MessageSink& sink) {
  const Ratings ratings = read_ratings(file);
  int64_t conversations = 0;
  std::optional<Message> damaged;  // said when it is known whether the file goes on behind it
  uint64_t begin = 0, cut_at = 0;  // of it; where the file ends inside it, else 0
  const auto tell = [&](bool goes_on) {
    if (!damaged) return;
    damaged->text = goes_on || cut_at == 0
                        ? cat("unreadable from byte ", begin, " on")
                        : cat("the file ends at byte ", cut_at,
                              ", inside the conversation that begins at byte ", begin);
    sink(std::move(*damaged));
    damaged.reset();
  };
  JsonPiece piece;
  while (objects.next(piece)) {
    const Json value = piece.whole ? parse_tolerantly(piece.text) : Json();
    Message place;
    place.file = file.path();
    if (field(value, "mapping").is_object()) {
      tell(/*goes_on=*/true);
      place.line = ++conversations;
      read_conversation(value, std::move(place), ratings, sink);
      continue;
    }
    // A list of something else, or a conversation that its export has left without a tree.
    const bool readable = piece.whole && !value.is_discarded();
    if (readable && !damaged) continue;
    if (!damaged) {
      place.line = ++conversations;
      place.kind = MessageKind::kDamaged;
      place.talk = cat(place.file, "#", place.line);
      damaged = std::move(place);
      begin = piece.offset;
      // With a lost quote too the text runs to the end, but there the list is closed.
      const bool cut =
          !piece.whole && objects.at_end_of_stream() && !trim_right(piece.text).ends_with(']');
      cut_at = cut ? begin + piece.text.size() : 0;
    }
    check(objects.recover(), ErrorCode::kFailed, file.path(),
          ": is damaged at too many places, the last at byte ", piece.offset, "; export it again");
  }
  tell(/*goes_on=*/false);
}

void read_json(const InputFile& file, const MessageSink& sink) {
  const std::unique_ptr<ByteReader> reader = file.open();
  JsonObjects objects(*reader, "conversations");
  read_all(file, objects, sink);
}

void read_html(const InputFile& file, const MessageSink& sink) {
  const std::unique_ptr<ByteReader> reader = file.open();
  JsonObjects objects(*reader, {}, /*one_value=*/true);
  check(objects.skip_past("jsonData") && objects.skip_past("="), ErrorCode::kFailed, file.path(),
        ": has no jsonData = [...] with the conversations; export it again");
  read_all(file, objects, sink);
}

bool recognises_json(std::string_view head) {
  const char first = first_character(head);
  return (first == '[' || first == '{') && head.find("\"mapping\"") != std::string_view::npos;
}

bool recognises_html(std::string_view head) {
  return first_character(head) == '<' && head.find("jsonData") != std::string_view::npos;
}

}  // namespace

extern const Importer chatgpt_json_importer;
const Importer chatgpt_json_importer = {
    "chatgpt-json", "ChatGPT's conversations.json", recognises_json, read_json, {}, kFeedback};

extern const Importer chatgpt_html_importer;
const Importer chatgpt_html_importer = {"chatgpt-html", "ChatGPT's chat.html", recognises_html,
                                        read_html,      "chatgpt-json",        kFeedback};

}  // namespace zhiyin::chats
