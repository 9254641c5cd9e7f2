// The files of an export, on disk or inside a zip archive, so that importers need not care which.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "chats/byte_reader.h"
#include "chats/zip_archive.h"

namespace zhiyin::chats {

class InputFile {
 public:
  explicit InputFile(std::string path) : path_(std::move(path)) {}
  InputFile(std::shared_ptr<const ZipArchive> archive, const ZipEntry& entry);

  // As shown to people: of an entry of an archive, "export.zip/conversations.json".
  const std::string& path() const { return path_; }
  std::string folder() const;  // path() without the last part and its slash
  uint64_t size() const;       // in bytes, unpacked

  // Throw as open_file_reader and ZipArchive::open.
  std::unique_ptr<ByteReader> open() const;
  std::string head(size_t bytes) const;
  std::string read_all() const;  // kFailed beyond 4 GiB

  // How much of it has been read through this object and its copies.
  int64_t bytes_read() const { return *bytes_read_; }

  // Another file of the export by its path from this one's folder, such as "users.json" or
  // "../users.json"; empty where there is none.
  std::optional<InputFile> sibling(std::string_view relative) const;

 private:
  std::string path_;
  std::shared_ptr<const ZipArchive> archive_;
  ZipEntry entry_;
  std::shared_ptr<int64_t> bytes_read_ = std::make_shared<int64_t>(0);
};

// The files that a path given by a user stands for: itself, or all that lie in the folder or the
// archive, by name. Throws kNotFound where there is nothing, and as ZipArchive::open.
std::vector<InputFile> files_of(const std::string& path);

}  // namespace zhiyin::chats
