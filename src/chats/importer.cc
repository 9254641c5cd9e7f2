#include "chats/importer.h"

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

// Pictures, sound and documents lie beside the chats by the thousand; a glance tells them apart.
bool is_media(std::string_view head) {
  if (head.size() > 8 && head.substr(4, 4) == "ftyp") return true;
  for (const std::string_view magic : {"\x89PNG", "\xFF\xD8\xFF", "GIF8", "RIFF", "%PDF", "ID3",
                                       "OggS", "\x1A\x45\xDF\xA3", "#!AMR", "\x02#!SILK"}) {
    if (head.starts_with(magic)) return true;
  }
  return false;
}

}  // namespace

std::span<const Importer* const> importers() { return kImporters; }

const Importer* find_importer(const InputFile& file) {
  constexpr size_t kGlance = 16;
  const std::unique_ptr<ByteReader> reader = file.open();
  std::string head = read_rest(*reader, kGlance);
  if (is_media(head)) return nullptr;
  head += read_rest(*reader, kHeadBytes - head.size());
  for (const Importer* importer : kImporters) {
    if (importer->recognises(head)) return importer;
  }
  return nullptr;
}

}  // namespace zhiyin::chats
