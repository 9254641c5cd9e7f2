// GGUF files as a stranger might send them: any bytes must end in a model or an Error. The header
// is parsed twice: in the exact buffer, so that the sanitizer sees a read beyond it, and as a file.
#include "io/gguf.h"

#include <sys/mman.h>
#include <unistd.h>

#include "io/gguf_config.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace zhiyin;
  try {
    GgufHeader header = parse_gguf_header({data, size}, "fuzz.gguf");
    const GgufMetadata metadata("fuzz.gguf", std::move(header.fields));
    for (const GgufField& field : metadata.fields()) GgufMetadata::text(field);
    generation_from_gguf(metadata);
  } catch (const Error&) {
    return 0;
  }
  static const int file = memfd_create("gguf", MFD_CLOEXEC);
  static const std::string path = cat("/proc/self/fd/", file);
  if (ftruncate(file, 0) != 0 || pwrite(file, data, size, 0) != static_cast<ssize_t>(size))
    return 0;
  try {
    config_from_gguf(GgufFile(path));
  } catch (const Error&) {
  }
  return 0;
}
