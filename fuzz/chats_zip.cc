// Zip archives as a stranger might send them: any bytes must end in entries that unpack to what
// they say, or an Error.
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <string>

#include "base/error.h"
#include "chats/zip_archive.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace zhiyin;
  static const int file = memfd_create("archive", MFD_CLOEXEC);
  static const std::string path = "/proc/self/fd/" + std::to_string(file);
  if (ftruncate(file, 0) != 0 || pwrite(file, data, size, 0) != static_cast<ssize_t>(size))
    return 0;
  try {
    const auto archive = chats::ZipArchive::open(path);
    for (const chats::ZipEntry& entry : archive->entries()) {
      try {
        constexpr size_t kEnough = size_t{1} << 20;
        chats::read_rest(*archive->open(entry), kEnough);
      } catch (const Error&) {
      }
    }
  } catch (const Error&) {
  }
  return 0;
}
