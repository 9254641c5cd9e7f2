#include "tensor/allocator.h"

#include <sys/mman.h>

#include <algorithm>
#include <bit>
#include <cstdlib>

#include "base/error.h"
#include "base/large_pages.h"

namespace zhiyin {
namespace {

constexpr size_t kAlignment = 64;
// From this size on a block lies on pages of 2 MB: a product walks through rows that are further
// apart than a small page, and would wait for the table of pages at each.
constexpr size_t kLarge = size_t{4} << 20;

void* allocate_block(size_t size) {
  if (size < kLarge) return std::aligned_alloc(kAlignment, size);
  void* block = std::aligned_alloc(kLargePage, to_large_page(size));
  if (block != nullptr) madvise(block, size, MADV_HUGEPAGE);  // a wish
  return block;
}

}  // namespace

// Eight classes an octave: at most an eighth of a block is unused.
size_t Allocator::size_class(size_t bytes) {
  if (bytes <= 512)
    return (bytes + kAlignment - 1) / kAlignment * kAlignment + (bytes == 0) * kAlignment;
  const size_t step = std::bit_floor(bytes) / 8;
  return (bytes + step - 1) / step * step;
}

Allocator::~Allocator() { trim(); }

void* Allocator::allocate(size_t bytes) {
  const size_t size = size_class(bytes);
  {
    const std::lock_guard lock(mutex_);
    in_use_ += size;
    peak_ = std::max(peak_, in_use_);
    const auto found = free_.find(size);
    if (found != free_.end() && !found->second.empty()) {
      void* block = found->second.back();
      found->second.pop_back();
      kept_ -= size;
      return block;
    }
  }
  void* block = allocate_block(size);
  if (block == nullptr) {
    const std::lock_guard lock(mutex_);
    in_use_ -= size;
    fail(ErrorCode::kOutOfMemory, "out of memory: ", bytes, " bytes for a tensor, with ", in_use_,
         " bytes in use; try a smaller context, batch or model");
  }
  return block;
}

void Allocator::release(void* block, size_t bytes) noexcept {
  const size_t size = size_class(bytes);
  {
    const std::lock_guard lock(mutex_);
    in_use_ -= size;
    if (kept_ + size <= max_kept_) {
      kept_ += size;
      free_[size].push_back(block);
      return;
    }
  }
  std::free(block);
}

size_t Allocator::bytes_in_use() const {
  const std::lock_guard lock(mutex_);
  return in_use_;
}

size_t Allocator::peak_bytes_in_use() const {
  const std::lock_guard lock(mutex_);
  return peak_;
}

void Allocator::keep_at_most(size_t bytes) {
  const std::lock_guard lock(mutex_);
  max_kept_ = bytes;
}

void Allocator::trim() {
  const std::lock_guard lock(mutex_);
  for (auto& [size, blocks] : free_) {
    for (void* block : blocks) std::free(block);
  }
  free_.clear();
  kept_ = 0;
}

}  // namespace zhiyin
