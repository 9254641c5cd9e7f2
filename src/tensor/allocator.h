// Memory for tensors, kept for the next tensor of about the same size: a forward pass asks for the
// same few sizes again and again.
#pragma once

#include <cstddef>
#include <map>
#include <mutex>
#include <vector>

namespace zhiyin {

// Blocks are aligned to 64 bytes and not cleared. Any thread may use it.
class Allocator {
 public:
  Allocator() = default;
  ~Allocator();
  Allocator(const Allocator&) = delete;
  Allocator& operator=(const Allocator&) = delete;

  // Throws kOutOfMemory with the size asked for.
  void* allocate(size_t bytes);
  // bytes as given to allocate().
  void release(void* block, size_t bytes) noexcept;

  size_t bytes_in_use() const;
  size_t peak_bytes_in_use() const;
  static constexpr size_t kKeptAtFirst = size_t{128} << 20;
  // Keeps up to so many bytes of released blocks.
  void keep_at_most(size_t bytes);
  // Gives the kept blocks back to the system.
  void trim();

 private:
  static size_t size_class(size_t bytes);

  mutable std::mutex mutex_;
  std::map<size_t, std::vector<void*>> free_;  // by size class
  size_t in_use_ = 0, peak_ = 0, kept_ = 0;
  // Beyond this a released block goes back to the system at once.
  size_t max_kept_ = kKeptAtFirst;
};

}  // namespace zhiyin
