// JSON and HTML exports as a stranger might send them, past the recognition: the first byte chooses
// the importer. Any bytes must end in messages or an Error.
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "base/error.h"
#include "chats/importer.h"
#include "chats/preferences.h"
#include "chats/turns.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace zhiyin;
  if (size == 0) return 0;
  static const int file = memfd_create("chat-export", MFD_CLOEXEC);
  static const std::string path = "/proc/self/fd/" + std::to_string(file);
  if (ftruncate(file, 0) != 0 ||
      pwrite(file, data + 1, size - 1, 0) != static_cast<ssize_t>(size - 1)) {
    return 0;
  }
  const chats::Importer* importer = chats::importers()[data[0] % chats::importers().size()];
  try {
    const chats::InputFile input(path);
    if (!importer->recognises(input.head(chats::kHeadBytes))) {
      // Importers may count on what they have recognised; these do not.
      if (importer->name != "chatgpt-json" && importer->name != "telegram-json" &&
          importer->name != "chatlab-json") {
        return 0;
      }
    }
    std::map<std::string, std::vector<chats::Message>> talks;
    importer->read(input, [&](chats::Message&& message) {
      talks[message.talk].push_back(std::move(message));
    });
    for (const auto& [id, messages] : talks) {
      chats::find_preferences(messages, "assistant", 2000);
      chats::build_rows(messages, "assistant", {}, {});
    }
  } catch (const Error&) {
  }
  return 0;
}
