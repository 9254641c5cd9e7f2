// Telegram Desktop's result.json: a single chat, or a full export with chats.list and
// left_chats.list. Messages are read one at a time. docs/formats/chat-exports.md has the rules.
#include <algorithm>
#include <map>
#include <tuple>
#include <vector>

#include "base/error.h"
#include "chats/ascii.h"
#include "chats/civil_time.h"
#include "chats/importer.h"
#include "chats/json_objects.h"

namespace zhiyin::chats {
namespace {

// "text" is a string, or a list of strings and of objects that have a "text".
std::string flat_text(const Json& text) {
  if (text.is_string()) return text.get<std::string>();
  std::string out;
  if (!text.is_array()) return out;
  for (const Json& part : text) {
    out += part.is_string() ? part.get<std::string>() : text_field(part, "text");
  }
  return out;
}

MessageKind kind_of(const Json& record) {
  if (text_field(record, "type") == "service") {
    return text_field(record, "action") == "phone_call" ? MessageKind::kCall : MessageKind::kNotice;
  }
  if (text_field(record, "type") != "message") return MessageKind::kOther;
  if (record.contains("forwarded_from")) return MessageKind::kForward;
  const std::string media = text_field(record, "media_type");
  if (media == "sticker") return MessageKind::kSticker;
  if (media == "voice_message") return MessageKind::kVoice;
  if (media == "video_file" || media == "video_message" || media == "animation") {
    return MessageKind::kVideo;
  }
  if (record.contains("photo")) return MessageKind::kPicture;
  if (record.contains("location_information")) return MessageKind::kPlace;
  if (record.contains("contact_information")) return MessageKind::kContact;
  if (record.contains("poll")) return MessageKind::kOther;
  if (record.contains("file")) return MessageKind::kFile;
  return MessageKind::kText;
}

// What a chat says of itself, before its messages.
struct Chat {
  std::string type, id;
  std::map<int64_t, std::pair<std::string, std::string>> said = {};  // id -> name, text; for quotes
};

// A text in memory as a stream.
class TextReader : public ByteReader {
 public:
  explicit TextReader(std::string_view text) : text_(text) {}
  size_t read(char* out, size_t size) override {
    const size_t take = text_.copy(out, size);
    text_.remove_prefix(take);
    return take;
  }

 private:
  std::string_view text_;
};

class TelegramJson {
 public:
  TelegramJson(const InputFile& file, const MessageSink& sink)
      : file_(file), path_(file.path()), sink_(sink) {}

  void read() {
    // Telegram writes control characters as \xNN, which JSON does not know.
    const std::string text = mend_json(file_.read_all());
    try {
      [[maybe_unused]] const Json rest =
          Json::parse(text, [this](int depth, Json::parse_event_t event, Json& value) {
            return take(depth, event, value);
          });
    } catch (const Json::parse_error& error) {
      go_on_behind(text, std::min(error.byte, text.size()));
    }
  }

 private:
  // Follows where the parser is by the keys of the open objects: a chat is the object whose
  // "messages" array is entered, wherever it stands.
  bool take(int depth, Json::parse_event_t event, Json& value) {
    const auto level = static_cast<size_t>(depth);
    switch (event) {
      case Json::parse_event_t::key:
        keys_.resize(level - 1);
        keys_.push_back(value.get<std::string>());
        return true;
      case Json::parse_event_t::value:
        if (level > 0 && keys_.size() == level) take_field(keys_.back(), value);
        return true;
      case Json::parse_event_t::array_start:
        if (messages_depth_ < 0 && level > 0 && keys_.size() == level &&
            keys_.back() == "messages") {
          messages_depth_ = depth;
        }
        return true;
      case Json::parse_event_t::array_end:
        if (depth != messages_depth_) return true;
        messages_depth_ = -1;
        chat_ = {};
        return true;
      case Json::parse_event_t::object_end:
        if (messages_depth_ < 0 || depth != messages_depth_ + 1) return true;
        sink_(read_message(value));
        return false;
      default:
        return true;
    }
  }

  // Behind a place that is not readable, which is one damaged record: messages one by one as they
  // come, and the chats that follow as a whole.
  void go_on_behind(const std::string& text, size_t at) {
    sink_(damaged(at));
    TextReader reader(std::string_view(text).substr(at));
    JsonObjects objects(reader);
    bool recovering = true;
    while (objects.recover()) {
      JsonPiece piece;
      bool any = false;
      while (objects.next(piece)) {
        any = true;
        const Json value = piece.whole ? parse_tolerantly(piece.text) : Json();
        const bool message = value.contains("type") && value.contains("date");
        const bool chat = field(value, "messages").is_array();
        if (!message && !chat) break;
        recovering = false;
        if (chat) {
          chat_ = {.type = text_field(value, "type"), .id = {}};
          take_id(field(value, "id"));
          for (const Json& inside : value["messages"]) sink_(read_message(inside));
        } else {
          sink_(read_message(value));
        }
      }
      if (!any) return;
      // What stands behind the messages of a chat, such as its closing bracket, is no damage.
      if (!recovering && piece.text.starts_with('{')) sink_(damaged(at + piece.offset));
      recovering = true;
    }
    fail(ErrorCode::kFailed, path_, ": is damaged at too many places; export it again");
  }

  Message damaged(size_t byte) {
    Message message;
    message.file = path_;
    message.line = ++records_;
    message.talk = cat("telegram", chat_.id);
    message.time = last_time_;
    message.kind = MessageKind::kDamaged;
    message.text = cat("unreadable from byte ", byte, " on");
    return message;
  }

  void take_id(const Json& id) {
    if (id.is_number_integer()) chat_.id = std::to_string(id.get<int64_t>());
  }

  void take_field(const std::string& key, const Json& value) {
    if (messages_depth_ >= 0) return;  // inside a message
    const bool in_owner = keys_.size() == 2 && keys_.front() == "personal_information";
    if (in_owner && key == "user_id" && value.is_number_integer()) {
      owner_ = cat("user", value.get<int64_t>());
    }
    if (key == "type" && value.is_string()) chat_.type = value.get<std::string>();
    if (key == "id") take_id(value);
  }

  void read_people(const Json& record, Message& message) {
    message.talk = cat("telegram", chat_.id);
    message.group =
        chat_.type != "personal_chat" && chat_.type != "bot_chat" && chat_.type != "saved_messages";
    if (message.kind == MessageKind::kNotice || message.kind == MessageKind::kCall) return;
    const std::string id = text_field(record, "from_id");
    // A talk of two has the id of the other person; so the owner is known without being told.
    const bool is_owner =
        !owner_.empty() ? id == owner_ : !message.group && id != cat("user", chat_.id);
    message.side = is_owner ? Side::kOwner : Side::kOther;
    message.sender = is_owner ? "me" : id.empty() ? "unknown" : id;
    message.sender_name = text_field(record, "from");
    if (message.sender_name.empty()) message.sender_name = "Deleted account";
  }

  Message read_message(const Json& record) {
    Message message;
    message.file = path_;
    message.line = ++records_;
    message.kind = kind_of(record);
    if (const auto time = parse_time(text_field(record, "date_unixtime"))) {
      message.time = *time;
    } else {
      message.time = parse_time(text_field(record, "date")).value_or(last_time_);
    }
    last_time_ = message.time;
    message.text = flat_text(field(record, "text"));
    if (message.kind == MessageKind::kSticker) {
      // A sticker stands for an emoji, which says the same and which the model can write.
      message.text = text_field(record, "sticker_emoji");
      if (!message.text.empty()) message.kind = MessageKind::kText;
    }
    read_people(record, message);
    const Json& id = field(record, "id");
    if (!id.is_number_integer()) return message;
    message.server_id = std::to_string(id.get<int64_t>());
    const Json& reply_to = field(record, "reply_to_message_id");
    if (reply_to.is_number_integer()) {
      if (const auto quoted = chat_.said.find(reply_to.get<int64_t>());
          quoted != chat_.said.end()) {
        std::tie(message.quote_name, message.quote_text) = quoted->second;
      }
    }
    chat_.said[id.get<int64_t>()] = {message.sender_name, message.text};
    return message;
  }

  const InputFile& file_;
  std::string path_;
  const MessageSink& sink_;
  std::vector<std::string> keys_;  // of the open objects; empty ones stand for arrays
  int messages_depth_ = -1;        // of the messages array we are in
  Chat chat_;
  std::string owner_;  // from_id of the account's owner, where the export tells it
  int64_t records_ = 0;
  int64_t last_time_ = 0;
};

void read(const InputFile& file, const MessageSink& sink) { TelegramJson(file, sink).read(); }

bool recognises(std::string_view head) {
  if (first_character(head) != '{') return false;
  const auto has = [&](std::string_view key) { return head.find(key) != std::string_view::npos; };
  return (has("\"messages\"") && has("\"date\"")) ||
         (has("\"personal_information\"") && has("\"user_id\""));
}

}  // namespace

extern const Importer telegram_json_importer;
const Importer telegram_json_importer = {"telegram-json", "Telegram's result.json", recognises,
                                         read};

}  // namespace zhiyin::chats
