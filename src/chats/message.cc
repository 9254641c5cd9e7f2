#include "chats/message.h"

#include <array>

namespace zhiyin::chats {
namespace {

constexpr std::array<std::string_view, kMessageKinds> kKindNames = {
    "text",   "sticker", "picture", "video",        "voice",   "call",   "link",
    "file",   "place",   "money",   "contact",      "forward", "notice", "recall",
    "branch", "tool",    "hidden",  "instructions", "system",  "other",  "damaged"};

}  // namespace

std::string_view kind_name(MessageKind kind) { return kKindNames[static_cast<size_t>(kind)]; }

MessageKind kind_from_name(std::string_view name) {
  for (size_t i = 0; i < kKindNames.size(); ++i) {
    if (kKindNames[i] == name) return static_cast<MessageKind>(i);
  }
  return MessageKind::kOther;
}

}  // namespace zhiyin::chats
