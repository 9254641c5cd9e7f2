#include "chats/input_file.h"

#include <algorithm>
#include <filesystem>

#include "base/error.h"
#include "base/file.h"

namespace zhiyin::chats {
namespace {

namespace fs = std::filesystem;

void add_archive(const std::string& path, std::vector<InputFile>& files) {
  const std::shared_ptr<const ZipArchive> archive = ZipArchive::open(path);
  for (const ZipEntry& entry : archive->entries()) files.emplace_back(archive, entry);
}

class CountingReader : public ByteReader {
 public:
  CountingReader(std::unique_ptr<ByteReader> reader, std::shared_ptr<int64_t> count)
      : reader_(std::move(reader)), count_(std::move(count)) {}

  size_t read(char* out, size_t size) override {
    const size_t got = reader_->read(out, size);
    *count_ += static_cast<int64_t>(got);
    return got;
  }

 private:
  std::unique_ptr<ByteReader> reader_;
  std::shared_ptr<int64_t> count_;
};

}  // namespace

InputFile::InputFile(std::shared_ptr<const ZipArchive> archive, const ZipEntry& entry)
    : path_(cat(archive->path(), "/", entry.name)), archive_(std::move(archive)), entry_(entry) {}

std::string InputFile::folder() const {
  const size_t slash = path_.rfind('/');
  return slash == std::string::npos ? std::string() : path_.substr(0, slash);
}

uint64_t InputFile::size() const {
  if (archive_) return entry_.size;
  std::error_code error;
  const auto size = fs::file_size(path_, error);
  return error ? 0 : size;
}

std::unique_ptr<ByteReader> InputFile::open() const {
  return std::make_unique<CountingReader>(
      archive_ ? archive_->open(entry_) : open_file_reader(path_), bytes_read_);
}

std::string InputFile::head(size_t bytes) const { return read_rest(*open(), bytes); }

std::string InputFile::read_all() const {
  constexpr uint64_t kMostBytes = uint64_t{4} << 30;
  check(size() <= kMostBytes, ErrorCode::kFailed, path_, ": is larger than ", kMostBytes >> 30,
        " GiB; export the chats one by one");
  return read_rest(*open(), static_cast<size_t>(kMostBytes));
}

std::optional<InputFile> InputFile::sibling(std::string_view relative) const {
  if (!archive_) {
    const std::string path = (fs::path(path_).parent_path() / relative).string();
    return file_exists(path) ? std::optional<InputFile>(path) : std::nullopt;
  }
  const std::string name =
      (fs::path(entry_.name).parent_path() / relative).lexically_normal().string();
  for (const ZipEntry& entry : archive_->entries()) {
    if (entry.name == name) return InputFile(archive_, entry);
  }
  return std::nullopt;
}

std::vector<InputFile> files_of(const std::string& path) {
  check(fs::exists(path), ErrorCode::kNotFound, path, ": no such file or folder");
  std::vector<InputFile> files;
  if (fs::is_directory(path)) {
    for (const auto& entry : fs::recursive_directory_iterator(path)) {
      if (entry.is_regular_file()) files.emplace_back(entry.path().string());
    }
  } else if (ZipArchive::recognises(InputFile(path).head(4))) {
    add_archive(path, files);
  } else {
    files.emplace_back(path);
  }
  std::sort(files.begin(), files.end(),
            [](const InputFile& a, const InputFile& b) { return a.path() < b.path(); });
  return files;
}

}  // namespace zhiyin::chats
