#include "base/file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <utility>
#include <vector>

#include "base/error.h"

namespace zhiyin {
namespace {

constexpr uint64_t kStartEvery = uint64_t{32} << 20;

// Paths for remove_unfinished_files(): fixed storage, since a signal handler may not allocate.
constexpr size_t kMaxUnfinished = 16;
struct UnfinishedSlot {
  std::atomic<bool> used{false};
  std::atomic<bool> ready{false};
  char path[1024];
};
std::array<UnfinishedSlot, kMaxUnfinished> unfinished;

void remember_unfinished(const std::string& path) {
  if (path.size() >= sizeof unfinished[0].path) return;
  for (UnfinishedSlot& slot : unfinished) {
    bool expected = false;
    if (!slot.used.compare_exchange_strong(expected, true)) continue;
    std::memcpy(slot.path, path.c_str(), path.size() + 1);
    slot.ready.store(true);
    return;
  }
}

void forget_unfinished(const std::string& path) {
  for (UnfinishedSlot& slot : unfinished) {
    if (!slot.ready.load() || path != slot.path) continue;
    slot.ready.store(false);
    slot.used.store(false);
    return;
  }
}

// A killed process that nobody has waited for still has a number, but no program.
bool is_running(int process) {
  if (kill(process, 0) != 0 && errno == ESRCH) return false;
  char program[1];
  return readlink(cat("/proc/", process, "/exe").c_str(), program, sizeof program) >= 0 ||
         errno != ENOENT;
}

}  // namespace

std::string read_file(const std::string& path, uint64_t max_bytes) {
  std::error_code error;
  if (std::filesystem::is_directory(path, error)) {
    fail(ErrorCode::kNotFound, path, ": is a folder, not a file");
  }
  std::FILE* file = std::fopen(path.c_str(), "rb");
  check(file != nullptr, ErrorCode::kNotFound, path, ": ", std::strerror(errno));
  std::string bytes;
  char buffer[1 << 16];
  size_t got = 0;
  while ((got = std::fread(buffer, 1, sizeof buffer, file)) > 0) {
    if (bytes.size() + got > max_bytes) {
      std::fclose(file);
      fail(ErrorCode::kFailed, path, ": larger than the ", max_bytes, " bytes allowed here");
    }
    bytes.append(buffer, got);
  }
  const bool bad = std::ferror(file) != 0;
  std::fclose(file);
  check(!bad, ErrorCode::kFailed, path, ": cannot be read: ", std::strerror(errno));
  return bytes;
}

bool file_exists(const std::string& path) {
  std::error_code error;
  return std::filesystem::is_regular_file(path, error);
}

AtomicFile::AtomicFile(std::string path, size_t buffer)
    : path_(std::move(path)), temporary_(cat(path_, ".tmp-", getpid())), buffer_(buffer) {
  file_ = std::fopen(temporary_.c_str(), "wb");
  check(file_ != nullptr, ErrorCode::kFailed, path_, ": cannot be written: ", std::strerror(errno));
  if (buffer > 0) std::setvbuf(file_, buffer_.data(), _IOFBF, buffer);
  remember_unfinished(temporary_);
}

AtomicFile::~AtomicFile() {
  if (committed_) return;
  if (file_ != nullptr) std::fclose(file_);
  unlink(temporary_.c_str());
  forget_unfinished(temporary_);
}

void AtomicFile::write(std::string_view bytes) { write(bytes.data(), bytes.size()); }

void AtomicFile::write(const void* data, size_t size) {
  if (size == 0) return;
  // The reason is asked for after the call, not as an argument beside it.
  const bool written = std::fwrite(data, 1, size, file_) == size;
  check(written, ErrorCode::kFailed, path_, ": cannot be written: ", std::strerror(errno));
  offset_ += size;
  // A wish: whoever writes much has the disk at work meanwhile, and little to wait for at the end.
  if (offset_ < started_ + kStartEvery) return;
  sync_file_range(fileno(file_), static_cast<off64_t>(started_),
                  static_cast<off64_t>(offset_ - started_), SYNC_FILE_RANGE_WRITE);
  started_ = offset_;
}

void AtomicFile::seek(uint64_t offset) {
  const bool moved = fseeko(file_, static_cast<off_t>(offset), SEEK_SET) == 0;
  check(moved, ErrorCode::kFailed, path_, ": cannot be written: ", std::strerror(errno));
  offset_ = offset;
}

void AtomicFile::close(bool sync) {
  if (file_ == nullptr) return;
  const bool flushed = std::fflush(file_) == 0 && (!sync || fsync(fileno(file_)) == 0);
  const int flush_error = errno;
  const bool closed = std::fclose(std::exchange(file_, nullptr)) == 0;
  check(flushed && closed, ErrorCode::kFailed, path_,
        ": cannot be written: ", std::strerror(flushed ? errno : flush_error));
}

void AtomicFile::finish() { close(true); }

void AtomicFile::commit(bool sync) {
  close(sync);
  check(std::rename(temporary_.c_str(), path_.c_str()) == 0, ErrorCode::kFailed, path_,
        ": cannot be written: ", std::strerror(errno));
  committed_ = true;
  forget_unfinished(temporary_);
}

void write_file(const std::string& path, std::string_view bytes) {
  AtomicFile file(path);
  file.write(bytes);
  file.commit();
}

void remove_leftovers(const std::string& folder) {
  namespace fs = std::filesystem;
  std::vector<fs::path> leftovers;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder)) {
    const std::string name = entry.path().filename().string();
    const size_t at = name.rfind(".tmp-");
    if (at == std::string::npos) continue;
    const int process = std::atoi(name.c_str() + at + 5);
    if (process > 0 && !is_running(process)) leftovers.push_back(entry.path());
  }
  for (const fs::path& path : leftovers) fs::remove(path);
}

void remove_unfinished_files() noexcept {
  for (UnfinishedSlot& slot : unfinished) {
    if (slot.ready.load()) unlink(slot.path);
  }
}

}  // namespace zhiyin
