// A file mapped read-only. Cheap to copy: the mapping lives as long as the last holder.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

namespace zhiyin {

class MmapFile {
 public:
  // Throws kNotFound when the file cannot be opened, kFailed when it cannot be mapped.
  explicit MmapFile(const std::string& path);

  const uint8_t* data() const { return mapping_->data; }
  size_t size() const { return mapping_->size; }
  const std::string& path() const { return mapping_->path; }
  // When the contents, and when contents or owner last changed, as of the opening: nanoseconds
  // since 1970.
  int64_t modified_ns() const { return mapping_->modified_ns; }
  int64_t changed_ns() const { return mapping_->changed_ns; }

  // Lets the kernel drop these pages from the resident set; they are read again when touched.
  void release(size_t offset, size_t size) const;

  // Makes the file resident, on pages of 2 MB where the file system has them (Linux 6.16 and later
  // for ext4), and returns how many of its bytes lie on such pages.
  size_t populate() const;

  // Puts memory of this process on pages of 2 MB, with the same bytes, in the place of the file's
  // pages, all but its ends; other threads may read them meanwhile. go_on is asked every few
  // megabytes, the first time after one page, with the bytes done; false when it said no or memory
  // is short, which leaves the rest on the file's pages.
  bool move_to_large_pages(const std::function<bool(size_t done)>& go_on) const;

 private:
  struct Mapping {
    std::string path;
    const uint8_t* data = nullptr;
    size_t size = 0;
    int64_t modified_ns = 0, changed_ns = 0;
    std::atomic<bool> moved = false;  // in part at least: no page may be dropped
    ~Mapping();
  };
  std::shared_ptr<Mapping> mapping_;
};

}  // namespace zhiyin
