// Importers: one export format a file, recognised from content, never from the name. A new one is
// a file that defines an Importer and a line in importers.def.
#pragma once

#include <functional>
#include <span>
#include <string>
#include <string_view>

#include "chats/input_file.h"
#include "chats/message.h"

namespace zhiyin::chats {

// Takes the messages of a file in the order they stand there. Every record of the export must
// arrive, a damaged one as MessageKind::kDamaged, so that nothing leaves the accounts.
using MessageSink = std::function<void(Message&&)>;

struct Importer {
  std::string_view name;   // "wechat-csv"
  std::string_view reads;  // what it reads, for error messages
  // Whether this is such a file; head is its first kHeadBytes bytes, as they are.
  bool (*recognises)(std::string_view head);
  // Throws kFailed, naming the file, when it is of this format but lacks what is needed.
  void (*read)(const InputFile& file, const MessageSink& sink);
  // The importer whose files hold the same messages: where its folder has one of those, a file of
  // this kind is passed over.
  std::string_view instead_of = {};
  // The name of a file beside it that it reads too.
  std::string_view beside = {};
};

inline constexpr size_t kHeadBytes = size_t{64} << 10;

std::span<const Importer* const> importers();

// The importer for a file, or nullptr. Throws as InputFile::open.
const Importer* find_importer(const InputFile& file);

}  // namespace zhiyin::chats
