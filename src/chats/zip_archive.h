// Reading zip archives (PKWARE APPNOTE 6.3: stored and deflated entries, Zip64), as services hand
// out their exports. Entries are streamed; nothing is unpacked to disk.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "chats/byte_reader.h"

namespace zhiyin::chats {

struct ZipEntry {
  std::string name;  // UTF-8, with / between folders
  uint64_t size = 0, packed_size = 0;
  uint64_t offset = 0;  // of its local header
  uint32_t crc = 0;
  uint16_t method = 0, flags = 0;
};

class ZipArchive : public std::enable_shared_from_this<ZipArchive> {
 public:
  // Whether a file that begins so is an archive.
  static bool recognises(std::string_view head);

  // Throws kNotFound for a file that cannot be opened and kFailed, naming the byte, for one that is
  // cut off or whose directory does not hold together, or has an entry whose name leads out of it.
  static std::shared_ptr<const ZipArchive> open(const std::string& path);
  ~ZipArchive();

  const std::string& path() const { return path_; }
  const std::vector<ZipEntry>& entries() const { return entries_; }  // files only, as listed

  // Throws kUnsupported, naming the entry, for one that is encrypted or packed in another way.
  // The reader throws kFailed when what it unpacks does not have the size and checksum it should.
  std::unique_ptr<ByteReader> open(const ZipEntry& entry) const;

  // Bytes of the archive itself; throws kFailed unless all of them are there.
  void read_at(uint64_t offset, void* out, size_t size) const;

 private:
  explicit ZipArchive(const std::string& path);
  void read_directory();

  std::string path_;
  int fd_ = -1;
  uint64_t file_size_ = 0;
  std::vector<ZipEntry> entries_;
};

}  // namespace zhiyin::chats
