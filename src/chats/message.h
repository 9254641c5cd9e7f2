// The neutral message: what every importer turns its export into and all later steps read.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace zhiyin::chats {

// Who speaks, as the export tells it; the persona is chosen among them later.
enum class Side {
  kOwner,    // the person whose account was exported
  kOther,    // anyone else
  kMachine,  // an assistant; the persona of its talk unless another is named
  kNobody,   // a notice of the program itself
};

enum class MessageKind {
  kText,
  kSticker,
  kPicture,
  kVideo,
  kVoice,
  kCall,
  kLink,
  kFile,
  kPlace,
  kMoney,
  kContact,
  kForward,  // a bundle of other talks' messages, an announcement, a list to join
  kNotice,
  kRecall,
  kBranch,        // a version of a turn that an assistant's export keeps beside the one in use
  kTool,          // an assistant's call of a tool, and what came back
  kHidden,        // never shown: scaffolding, an assistant's thoughts
  kInstructions,  // what a user has told an assistant about himself and how to answer
  kSystem,        // the system message of a conversation, which stays with its rows
  kOther,
  kDamaged,  // a record of the export that cannot be read
};
inline constexpr int kMessageKinds = static_cast<int>(MessageKind::kDamaged) + 1;

// "text", "sticker", ...: as written to the ledger.
std::string_view kind_name(MessageKind kind);
// The inverse; kOther for a name it does not know.
MessageKind kind_from_name(std::string_view name);

struct Message {
  int64_t id = 0;    // number in the ledger, from 1 in reading order; 0 before it is there
  std::string file;  // path of the export file
  int64_t line = 0;  // line (CSV) or position (JSON) in that file, from 1

  std::string talk;  // stable key of the conversation
  bool group = false;
  std::string sender;  // stable key of the speaker, "me" for the owner; empty for kNobody
  std::string sender_name;
  Side side = Side::kNobody;

  std::string server_id;  // same in every copy of this message; empty where it cannot be trusted
  std::string local_id;   // number inside the exporting program; may be empty
  int64_t time = 0;       // seconds since 1970-01-01 on the clock the export shows

  MessageKind kind = MessageKind::kText;
  std::string text;          // UTF-8: what was said, a transcript, a caption, a link's title
  std::string joint = "\n";  // between this and what the same side said right before it
  std::string quote_name, quote_text;  // what a reply refers to; both empty for no reply
  std::string sticker_key;             // 32 hexadecimal digits, or empty
  std::string sticker_url;             // byte for byte as in the export

  std::string parent;  // server_id of the message this one answers, where talks are trees
  int rating = 0;      // 1 thumbs up, -1 thumbs down
};

}  // namespace zhiyin::chats
