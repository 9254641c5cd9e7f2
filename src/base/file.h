// Whole files: read, write under a temporary name and rename when whole, list a folder.
#pragma once

#include <cstdint>
#include <cstdio>
#include <string>
#include <string_view>
#include <vector>

namespace zhiyin {

// The bytes of a file. Throws kNotFound with the path and the reason; kFailed beyond max_bytes.
std::string read_file(const std::string& path, uint64_t max_bytes = uint64_t{4} << 30);

bool file_exists(const std::string& path);

// Writes path.tmp-PID and renames it to path on commit(); without commit() the destructor removes
// it, so an error or Ctrl-C leaves the old file as it was. Not thread-safe.
class AtomicFile {
 public:
  // buffer: bytes that are collected before they go to the file; 0: the system's few.
  explicit AtomicFile(std::string path, size_t buffer = 0);
  ~AtomicFile();
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;

  void write(std::string_view bytes);
  void write(const void* data, size_t size);
  void seek(uint64_t offset);
  uint64_t offset() const { return offset_; }
  // For a library that writes the file itself and knows paths only.
  const std::string& temporary_path() const { return temporary_; }
  // Flushes to disk: what commit() is then left to do is to rename, so that several files can
  // appear together or not at all. Nothing can be written afterwards. Throws kFailed, with the
  // reason, on a full disk.
  void finish();
  // finish(), unless that was done, and rename. Throws as finish(). Without sync it does not wait
  // for the disk: after a power cut the file may hold anything, so that is for files which carry a
  // checksum and can be made again.
  void commit(bool sync = true);

 private:
  void close(bool sync);

  std::string path_, temporary_;
  std::vector<char> buffer_;
  std::FILE* file_ = nullptr;
  uint64_t offset_ = 0;
  uint64_t started_ = 0;  // up to here the system was asked to write to disk
  bool committed_ = false;
};

// AtomicFile for a whole text.
void write_file(const std::string& path, std::string_view bytes);

// Removes files of the folder that processes which were killed while writing left behind
// ("name.tmp-PID").
void remove_leftovers(const std::string& folder);

// Removes the temporary files of every AtomicFile still open; async-signal-safe, for a Ctrl-C
// handler that is about to end the process.
void remove_unfinished_files() noexcept;

}  // namespace zhiyin
