// A file mapped read-only. Cheap to copy: the mapping lives as long as the last holder.
#pragma once

#include <cstddef>
#include <cstdint>
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

  // Lets the kernel drop these pages from the resident set; they are read again when touched.
  void release(size_t offset, size_t size) const;

 private:
  struct Mapping {
    std::string path;
    const uint8_t* data = nullptr;
    size_t size = 0;
    ~Mapping();
  };
  std::shared_ptr<const Mapping> mapping_;
};

}  // namespace zhiyin
