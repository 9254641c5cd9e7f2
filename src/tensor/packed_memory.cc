#include "tensor/packed_memory.h"

#include <sys/mman.h>

#include <algorithm>
#include <fstream>
#include <string>

namespace zhiyin {
namespace {

constexpr size_t kAlignment = 64;
constexpr size_t kPage = size_t{2} << 20;
constexpr size_t kRegion = size_t{64} << 20;

size_t round_up(size_t value, size_t step) { return (value + step - 1) / step * step; }

// At least `bytes` bytes, aligned to a page of 2 MB; bytes is a multiple of that.
std::shared_ptr<uint8_t> map_region(size_t bytes) {
  const size_t size = bytes + kPage;  // the room to align in is never touched
  void* start = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (start == MAP_FAILED) return nullptr;
  madvise(start, size, MADV_HUGEPAGE);  // a wish; without it the pages are small
  const size_t offset =
      round_up(reinterpret_cast<size_t>(start), kPage) - reinterpret_cast<size_t>(start);
  return {static_cast<uint8_t*>(start) + offset, [start, size](uint8_t*) { munmap(start, size); }};
}

}  // namespace

bool PackedMemory::has_large_pages() {
  std::ifstream file("/sys/kernel/mm/transparent_hugepage/enabled");
  std::string choices;  // "always [madvise] never"
  return std::getline(file, choices) && choices.find("[never]") == std::string::npos;
}

std::shared_ptr<uint8_t> PackedMemory::allocate(size_t bytes) {
  const size_t size = round_up(bytes, kAlignment);
  const std::lock_guard lock(mutex_);
  if (region_size_ - used_ < size) {
    const size_t region_size = std::max(kRegion, round_up(size, kPage));
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
