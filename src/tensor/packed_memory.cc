#include "tensor/packed_memory.h"

#include <sys/mman.h>

#include <algorithm>

#include "base/large_pages.h"

namespace zhiyin {
namespace {

constexpr size_t kAlignment = 64;
constexpr size_t kRegion = size_t{64} << 20;

std::shared_ptr<uint8_t> map_region(size_t bytes) {
  uint8_t* const start = map_large_pages(bytes);
  if (start == nullptr) return nullptr;
  return {start, [bytes](uint8_t* p) { munmap(p, bytes); }};
}

}  // namespace

std::shared_ptr<uint8_t> PackedMemory::allocate(size_t bytes) {
  const size_t size = (bytes + kAlignment - 1) / kAlignment * kAlignment;
  const std::lock_guard lock(mutex_);
  if (region_size_ - used_ < size) {
    const size_t region_size = std::max(kRegion, to_large_page(size));
    std::shared_ptr<uint8_t> region = map_region(region_size);
    if (region == nullptr) return nullptr;
    // A matrix that fills a region of its own leaves the open one to those after it.
    if (region_size - size < region_size_ - used_) return region;
    region_ = std::move(region);
    region_size_ = region_size;
    used_ = 0;
  }
  uint8_t* piece = region_.get() + used_;
  used_ += size;
  return {region_, piece};
}

}  // namespace zhiyin
