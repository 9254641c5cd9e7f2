#include "chats/importer.h"

#include <cerrno>
#include <cstdio>
#include <cstring>

#include "base/error.h"

namespace zhiyin::chats {

#define ZHIYIN_IMPORTER(importer) extern const Importer importer;
#include "chats/importers.def"
#undef ZHIYIN_IMPORTER

namespace {

#define ZHIYIN_IMPORTER(importer) &importer,
constexpr const Importer* kImporters[] = {
#include "chats/importers.def"
};
#undef ZHIYIN_IMPORTER

std::string read_head(const std::string& path) {
  std::FILE* file = std::fopen(path.c_str(), "rb");
  check(file != nullptr, ErrorCode::kNotFound, path, ": ", std::strerror(errno));
  std::string head(kHeadBytes, '\0');
  head.resize(std::fread(head.data(), 1, head.size(), file));
  std::fclose(file);
  return head;
}

}  // namespace

std::span<const Importer* const> importers() { return kImporters; }

const Importer* find_importer(const std::string& path) {
  const std::string head = read_head(path);
  for (const Importer* importer : kImporters) {
    if (importer->recognises(head)) return importer;
  }
  return nullptr;
}

}  // namespace zhiyin::chats
