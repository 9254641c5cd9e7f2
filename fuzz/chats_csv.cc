// Chat exports as a stranger might send them: any bytes as a file must end in rows or an Error.
// The file lies in shared memory, since importers read paths.
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <string>

#include "base/error.h"
#include "chats/importer.h"
#include "chats/ledger.h"
#include "chats/turns.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace zhiyin;
  static const int file = memfd_create("chat-export", MFD_CLOEXEC);
  static const std::string path = "/proc/self/fd/" + std::to_string(file);
  if (ftruncate(file, 0) != 0 || pwrite(file, data, size, 0) != static_cast<ssize_t>(size))
    return 0;
  try {
    const chats::InputFile input(path);
    const chats::Importer* importer = chats::find_importer(input);
    if (importer == nullptr) return 0;
    chats::Ledger ledger;
    importer->read(input, [&](chats::Message&& message) { ledger.add(message); });
    for (const chats::Talk& talk : ledger.talks()) {
      chats::build_rows(ledger.messages(talk.id), "me", {}, {});
    }
    chats::learn_session_gap(ledger.gaps());
  } catch (const Error&) {
  }
  return 0;
}
