#include "chats/byte_reader.h"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>

#include "base/error.h"

namespace zhiyin::chats {
namespace {

class FileReader : public ByteReader {
 public:
  explicit FileReader(const std::string& path)
      : path_(path), file_(std::fopen(path.c_str(), "rb"), &std::fclose) {
    check(file_ != nullptr, ErrorCode::kNotFound, path, ": ", std::strerror(errno));
  }

  size_t read(char* out, size_t size) override {
    const size_t got = std::fread(out, 1, size, file_.get());
    check(got > 0 || std::ferror(file_.get()) == 0, ErrorCode::kFailed, path_,
          ": cannot be read: ", std::strerror(errno));
    return got;
  }

 private:
  std::string path_;
  std::unique_ptr<std::FILE, int (*)(std::FILE*)> file_;
};

}  // namespace

std::unique_ptr<ByteReader> open_file_reader(const std::string& path) {
  return std::make_unique<FileReader>(path);
}

std::string read_rest(ByteReader& reader, size_t max_bytes) {
  constexpr size_t kStep = size_t{1} << 20;
  std::string bytes;
  while (bytes.size() < max_bytes) {
    const size_t before = bytes.size();
    bytes.resize(before + std::min(kStep, max_bytes - before));
    const size_t got = reader.read(bytes.data() + before, bytes.size() - before);
    bytes.resize(before + got);
    if (got == 0) break;
  }
  return bytes;
}

}  // namespace zhiyin::chats
