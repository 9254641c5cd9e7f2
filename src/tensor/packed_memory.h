// Memory for the packed form of weights, in pages of 2 MB where the system has them: every token
// reads all weights in sequence, and with pages of 4 KB that is a fifth slower.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>

namespace zhiyin {

// Hands out pieces of large regions, since a page of 2 MB has to lie within one region and most
// matrices are smaller. A region goes back to the system with its last piece. Any thread may use
// it, and pieces may outlive it.
class PackedMemory {
 public:
  // Zeroed bytes, aligned to 64; nullptr when there are no more. Only what is touched counts as
  // resident, to the next 2 MB.
  std::shared_ptr<uint8_t> allocate(size_t bytes);

 private:
  std::mutex mutex_;
  std::shared_ptr<uint8_t> region_;
  size_t region_size_ = 0, used_ = 0;
};

}  // namespace zhiyin
