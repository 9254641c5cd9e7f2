// ChatLab's neutral format for WeChat, QQ and other chats, as JSON or JSON lines (version 0.0.2;
// chatlab.fun, "standard format"). docs/formats/chat-exports.md has the rules.
#include <map>
#include <tuple>

#include "base/error.h"
#include "chats/ascii.h"
#include "chats/importer.h"
#include "chats/json_objects.h"
#include "chats/stickers.h"

namespace zhiyin::chats {
namespace {

MessageKind kind_of(int64_t type) {
  switch (type) {
    case 0:   // text
    case 25:  // a reply, whose words are in the content
      return MessageKind::kText;
    case 1:
      return MessageKind::kPicture;
    case 2:
      return MessageKind::kVoice;
    case 3:
      return MessageKind::kVideo;
    case 4:
      return MessageKind::kFile;
    case 5:
      return MessageKind::kSticker;
    case 7:
    case 24:
      return MessageKind::kLink;
    case 8:
      return MessageKind::kPlace;
    case 20:
    case 21:
      return MessageKind::kMoney;
    case 22:  // a poke
    case 80:
      return MessageKind::kNotice;
    case 23:
      return MessageKind::kCall;
    case 26:
      return MessageKind::kForward;
    case 27:
      return MessageKind::kContact;
    case 81:
      return MessageKind::kRecall;
    default:
      return MessageKind::kOther;
  }
}

// "[语音转文字] 你好" -> "你好", "[图片]" -> "": placeholders of the exporter say nothing.
std::string without_label(const std::string& text) {
  if (!text.starts_with('[')) return text;
  const size_t end = text.find(']');
  return end == std::string::npos ? text : std::string(trim(text.substr(end + 1)));
}

class ChatlabJson {
 public:
  ChatlabJson(const InputFile& file, const MessageSink& sink) : file_(file), sink_(sink) {}

  void read() {
    const std::unique_ptr<ByteReader> reader = file_.open();
    JsonObjects objects(*reader, "messages");
    JsonPiece piece;
    bool recovering = false, outer_read = false;
    while (objects.next(piece)) {
      if (!outer_read) {
        // Of JSON, what stands before the messages; of JSON lines an empty object.
        const Json outer = parse_tolerantly(objects.outer());
        read_header(outer);
        for (const Json& member : field(outer, "members")) read_member(member);
        outer_read = true;
      }
      const Json value = piece.whole ? parse_tolerantly(piece.text) : Json();
      const bool known = value.contains("_type") || value.contains("sender");
      if (!value.is_object() || (recovering && !known)) {
        if (!recovering) sink_(damaged(piece.offset));
        recovering = true;
        check(objects.recover(), ErrorCode::kFailed, file_.path(),
              ": is damaged at too many places, the last at byte ", piece.offset);
        continue;
      }
      recovering = false;
      const std::string type = text_field(value, "_type");
      if (type == "header") {
        read_header(value);
      } else if (type == "member") {
        read_member(value);
      } else {
        sink_(read_message(value));
      }
    }
  }

 private:
  void read_header(const Json& header) {
    const Json& meta = field(header, "meta");
    if (!meta.is_object()) return;
    group_ = text_field(meta, "type") == "group";
    owner_ = text_field(meta, "ownerId");
    std::string id = text_field(meta, "groupId");
    if (id.empty()) id = text_field(meta, "name");
    talk_ = cat(text_field(meta, "platform"), ":", id);
  }

  void read_member(const Json& member) {
    const std::string id = text_field(member, "platformId");
    std::string name = text_field(member, "groupNickname");
    if (name.empty()) name = text_field(member, "accountName");
    if (id.empty() || name.empty()) return;
    // Without an owner, the account called 我 is the one whose phone it was.
    if (owner_.empty() && name == "我") owner_ = id;
    names_[id] = name;
  }

  Message place() {
    Message message;
    message.file = file_.path();
    message.line = ++records_;
    message.talk = talk_.empty() ? file_.path() : talk_;
    message.group = group_;
    message.time = last_time_;
    return message;
  }

  Message damaged(uint64_t offset) {
    Message message = place();
    message.kind = MessageKind::kDamaged;
    message.text = cat("unreadable from byte ", offset, " on");
    return message;
  }

  Message read_message(const Json& record) {
    Message message = place();
    const Json& type = field(record, "type");
    const std::string sender = text_field(record, "sender");
    if (!type.is_number_integer() || sender.empty()) {
      message.kind = MessageKind::kDamaged;
      message.text = record.dump(-1, ' ', false, Json::error_handler_t::replace);
      return message;
    }
    message.kind = kind_of(type.get<int64_t>());
    const Json& stamp = field(record, "timestamp");
    if (stamp.is_number()) {
      constexpr double kMilliseconds = 1e11;  // later than any second
      const double value = stamp.get<double>();
      const double seconds = value > kMilliseconds ? value / 1000 : value;
      if (seconds > 0 && seconds < kMilliseconds) message.time = static_cast<int64_t>(seconds);
    }
    last_time_ = message.time;
    read_content(message, text_field(record, "content"));
    message.server_id = text_field(record, "platformMessageId");
    if (message.kind != MessageKind::kNotice && message.kind != MessageKind::kRecall) {
      read_sender(message, record, sender);
    }
    if (const auto quoted = said_.find(text_field(record, "replyToMessageId"));
        quoted != said_.end()) {
      std::tie(message.quote_name, message.quote_text) = quoted->second;
    }
    if (!message.server_id.empty()) {
      said_[message.server_id] = {message.sender_name, message.text};
    }
    return message;
  }

  static void read_content(Message& message, const std::string& content) {
    switch (message.kind) {
      case MessageKind::kSticker:
        message.sticker_key = sticker_key(content);
        if (!message.sticker_key.empty()) message.sticker_url = content;
        break;
      case MessageKind::kVoice:
      case MessageKind::kLink:
        message.text = without_label(content);
        break;
      case MessageKind::kText:
      case MessageKind::kNotice:
      case MessageKind::kRecall:
      case MessageKind::kForward:
      case MessageKind::kOther:
        message.text = trim(content);
        break;
      default:  // a placeholder or a path
        break;
    }
  }

  void read_sender(Message& message, const Json& record, const std::string& sender) {
    std::string name = text_field(record, "groupNickname");
    if (name.empty()) name = text_field(record, "accountName");
    if (const auto known = names_.find(sender); known != names_.end()) name = known->second;
    if (owner_.empty() && name == "我") owner_ = sender;
    const bool is_owner = sender == owner_;
    message.side = is_owner ? Side::kOwner : Side::kOther;
    message.sender = is_owner ? "me" : sender;
    message.sender_name = name.empty() ? sender : name;
  }

  const InputFile& file_;
  const MessageSink& sink_;
  bool group_ = false;
  std::string talk_, owner_;
  std::map<std::string, std::string> names_;
  std::map<std::string, std::pair<std::string, std::string>> said_;  // id -> name, text; for quotes
  int64_t records_ = 0, last_time_ = 0;
};

void read(const InputFile& file, const MessageSink& sink) { ChatlabJson(file, sink).read(); }

bool recognises(std::string_view head) {
  return head.find("\"chatlab\"") != std::string_view::npos &&
         head.find("\"version\"") != std::string_view::npos &&
         head.find("\"meta\"") != std::string_view::npos;
}

}  // namespace

extern const Importer chatlab_json_importer;
const Importer chatlab_json_importer = {"chatlab-json", "ChatLab's JSON and JSON lines", recognises,
                                        read};

}  // namespace zhiyin::chats
