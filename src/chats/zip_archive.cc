#include "chats/zip_archive.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "base/error.h"
#include "base/utf8.h"

namespace zhiyin::chats {
namespace {

constexpr uint32_t kLocalHeader = 0x04034b50, kCentralHeader = 0x02014b50, kEnd = 0x06054b50,
                   kEnd64 = 0x06064b50, kEnd64Locator = 0x07064b50;
constexpr size_t kLocalSize = 30, kCentralSize = 46, kEndSize = 22, kEnd64Size = 56,
                 kLocatorSize = 20, kLongestComment = 65535;
constexpr uint16_t kStored = 0, kDeflated = 8, kEncrypted = 1, kZip64Field = 1;

uint64_t number(const uint8_t* bytes, size_t count) {
  uint64_t value = 0;
  for (size_t i = count; i-- > 0;) value = value << 8 | bytes[i];
  return value;
}
uint16_t u16(const uint8_t* bytes) { return static_cast<uint16_t>(number(bytes, 2)); }
uint32_t u32(const uint8_t* bytes) { return static_cast<uint32_t>(number(bytes, 4)); }

// Nothing is ever written under these names, but an archive that tries is not to be trusted.
bool leads_out(std::string_view name) {
  if (name.starts_with('/') || name.find('\\') != std::string_view::npos) return true;
  if (name.size() > 1 && name[1] == ':') return true;
  for (size_t at = 0; at <= name.size();) {
    const size_t end = std::min(name.find('/', at), name.size());
    if (name.substr(at, end - at) == "..") return true;
    at = end + 1;
  }
  return false;
}

// The sizes and the offset that do not fit into 32 bits stand in a field of their own, in this
// order, and only those.
void read_zip64(ZipEntry& entry, const uint8_t* extra, size_t size) {
  constexpr uint64_t kElsewhere = 0xFFFFFFFF;
  for (size_t at = 0; at + 4 <= size;) {
    const size_t length = u16(extra + at + 2);
    if (at + 4 + length > size) return;
    if (u16(extra + at) == kZip64Field) {
      const uint8_t* value = extra + at + 4;
      size_t left = length;
      for (uint64_t* field : {&entry.size, &entry.packed_size, &entry.offset}) {
        if (*field != kElsewhere || left < 8) continue;
        *field = number(value, 8);
        value += 8;
        left -= 8;
      }
      return;
    }
    at += 4 + length;
  }
}

class EntryReader : public ByteReader {
 public:
  EntryReader(std::shared_ptr<const ZipArchive> archive, const ZipEntry& entry, uint64_t begin)
      : archive_(std::move(archive)), entry_(entry), at_(begin), packed_left_(entry.packed_size) {
    if (entry.method != kDeflated) return;
    constexpr int kRawDeflate = -MAX_WBITS;
    check(inflateInit2(&stream_, kRawDeflate) == Z_OK, ErrorCode::kOutOfMemory, label(),
          ": no memory to unpack it");
  }
  ~EntryReader() override {
    if (entry_.method == kDeflated) inflateEnd(&stream_);
  }
  EntryReader(const EntryReader&) = delete;
  EntryReader& operator=(const EntryReader&) = delete;

  size_t read(char* out, size_t size) override {
    if (size == 0 || done_) return 0;
    const size_t got = entry_.method == kStored ? refill(reinterpret_cast<uint8_t*>(out), size)
                                                : unpack(reinterpret_cast<uint8_t*>(out), size);
    crc_ = static_cast<uint32_t>(crc32_z(crc_, reinterpret_cast<const uint8_t*>(out), got));
    given_ += got;
    check(given_ <= entry_.size, ErrorCode::kFailed, label(), ": unpacks to more than the ",
          entry_.size, " bytes it should have; the archive is damaged");
    if (got == 0) {
      done_ = true;
      check(given_ == entry_.size && crc_ == entry_.crc, ErrorCode::kFailed, label(), ": ", given_,
            " bytes with checksum ", crc_, " instead of ", entry_.size, " with ", entry_.crc,
            "; the archive is damaged, download it again");
    }
    return got;
  }

 private:
  std::string label() const { return cat(archive_->path(), "/", entry_.name); }

  size_t refill(uint8_t* out, size_t size) {
    const auto take = static_cast<size_t>(std::min<uint64_t>(size, packed_left_));
    if (take > 0) archive_->read_at(at_, out, take);
    at_ += take;
    packed_left_ -= take;
    return take;
  }

  size_t unpack(uint8_t* out, size_t size) {
    stream_.next_out = out;
    stream_.avail_out = static_cast<uInt>(std::min(size, size_t{1} << 30));
    const uInt wanted = stream_.avail_out;
    while (stream_.avail_out == wanted && !ended_) {
      if (stream_.avail_in == 0) {
        stream_.next_in = packed_.data();
        stream_.avail_in = static_cast<uInt>(refill(packed_.data(), packed_.size()));
      }
      const int status = inflate(&stream_, Z_NO_FLUSH);
      ended_ = status == Z_STREAM_END;
      check(ended_ || status == Z_OK, ErrorCode::kFailed, label(), ": cannot be unpacked after ",
            given_, " bytes; the archive is damaged, download it again");
    }
    return wanted - stream_.avail_out;
  }

  std::shared_ptr<const ZipArchive> archive_;
  ZipEntry entry_;
  uint64_t at_, packed_left_, given_ = 0;
  uint32_t crc_ = 0;
  bool done_ = false, ended_ = false;
  z_stream stream_{};
  std::array<uint8_t, size_t{64} << 10> packed_;
};

}  // namespace

bool ZipArchive::recognises(std::string_view head) {
  return head.starts_with("PK\x03\x04") || head.starts_with("PK\x05\x06");
}

std::shared_ptr<const ZipArchive> ZipArchive::open(const std::string& path) {
  const std::shared_ptr<ZipArchive> archive(new ZipArchive(path));
  archive->read_directory();
  return archive;
}

ZipArchive::ZipArchive(const std::string& path)
    : path_(path), fd_(::open(path.c_str(), O_RDONLY | O_CLOEXEC)) {
  check(fd_ >= 0, ErrorCode::kNotFound, path, ": ", std::strerror(errno));
  struct stat status{};
  if (fstat(fd_, &status) == 0) file_size_ = static_cast<uint64_t>(status.st_size);
}

ZipArchive::~ZipArchive() {
  if (fd_ >= 0) close(fd_);
}

void ZipArchive::read_at(uint64_t offset, void* out, size_t size) const {
  check(offset <= file_size_ && size <= file_size_ - offset, ErrorCode::kFailed, path_,
        ": refers to ", size, " bytes at ", offset, " of ", file_size_,
        "; the archive is cut off, download it again");
  auto* bytes = static_cast<char*>(out);
  while (size > 0) {
    const ssize_t got = pread(fd_, bytes, size, static_cast<off_t>(offset));
    check(got > 0, ErrorCode::kFailed, path_, ": cannot be read at byte ", offset);
    bytes += got;
    offset += static_cast<uint64_t>(got);
    size -= static_cast<size_t>(got);
  }
}

void ZipArchive::read_directory() {
  // The end record stands last, behind it only a comment.
  const auto tail_size =
      static_cast<size_t>(std::min<uint64_t>(file_size_, kEndSize + kLongestComment));
  std::vector<uint8_t> tail(tail_size);
  read_at(file_size_ - tail_size, tail.data(), tail_size);
  size_t end = tail_size < kEndSize ? 0 : tail_size - kEndSize + 1;
  while (end > 0 && u32(&tail[end - 1]) != kEnd) --end;
  check(end > 0, ErrorCode::kFailed, path_,
        ": has no directory at its end; the archive is cut off, download it again");
  --end;
  uint64_t size = u32(&tail[end + 12]), offset = u32(&tail[end + 16]);
  const uint64_t end_at = file_size_ - tail_size + end;
  std::array<uint8_t, kEnd64Size> end64{};
  if (end_at >= kLocatorSize) {
    std::array<uint8_t, kLocatorSize> locator{};
    read_at(end_at - kLocatorSize, locator.data(), locator.size());
    if (u32(locator.data()) == kEnd64Locator) {
      read_at(number(&locator[8], 8), end64.data(), end64.size());
      check(u32(end64.data()) == kEnd64, ErrorCode::kFailed, path_,
            ": its Zip64 directory is not where it says; the archive is damaged");
      size = number(&end64[40], 8);
      offset = number(&end64[48], 8);
    }
  }
  check(size <= file_size_, ErrorCode::kFailed, path_, ": has a directory of ", size,
        " bytes in a file of ", file_size_, "; the archive is damaged");
  std::vector<uint8_t> directory(static_cast<size_t>(size));
  read_at(offset, directory.data(), directory.size());
  for (size_t at = 0; at < directory.size();) {
    const uint8_t* header = directory.data() + at;
    const size_t left = directory.size() - at;
    check(left >= kCentralSize && u32(header) == kCentralHeader, ErrorCode::kFailed, path_,
          ": its directory breaks off at byte ", offset + at, "; the archive is damaged");
    const size_t name_size = u16(header + 28), extra_size = u16(header + 30),
                 comment_size = u16(header + 32);
    const size_t whole = kCentralSize + name_size + extra_size + comment_size;
    check(whole <= left, ErrorCode::kFailed, path_, ": its directory breaks off at byte ",
          offset + at, "; the archive is damaged");
    const auto* name = reinterpret_cast<const char*>(header + kCentralSize);
    ZipEntry entry{.name = sanitize_utf8({name, name_size}),
                   .size = u32(header + 24),
                   .packed_size = u32(header + 20),
                   .offset = u32(header + 42),
                   .crc = u32(header + 16),
                   .method = u16(header + 10),
                   .flags = u16(header + 8)};
    read_zip64(entry, header + kCentralSize + name_size, extra_size);
    check(!leads_out(entry.name), ErrorCode::kFailed, path_, ": has an entry ",
          printable(entry.name), " that leads out of the archive; it is not to be trusted");
    if (!entry.name.empty() && !entry.name.ends_with('/')) entries_.push_back(std::move(entry));
    at += whole;
  }
}

std::unique_ptr<ByteReader> ZipArchive::open(const ZipEntry& entry) const {
  const std::string label = cat(path_, "/", printable(entry.name));
  check((entry.flags & kEncrypted) == 0, ErrorCode::kUnsupported, label,
        ": is encrypted; unpack the archive with its password first");
  check(entry.method == kStored || entry.method == kDeflated, ErrorCode::kUnsupported, label,
        ": is packed by method ", entry.method, ", which zhiyin does not know; unpack it first");
  std::array<uint8_t, kLocalSize> header{};
  read_at(entry.offset, header.data(), header.size());
  check(u32(header.data()) == kLocalHeader, ErrorCode::kFailed, label, ": does not start at byte ",
        entry.offset, " as the directory says; the archive is damaged");
  const uint64_t begin = entry.offset + kLocalSize + u16(&header[26]) + u16(&header[28]);
  return std::make_unique<EntryReader>(shared_from_this(), entry, begin);
}

}  // namespace zhiyin::chats
