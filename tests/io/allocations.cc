// Alone in its file: a compiler that inlines these operators into callers warns about the pair.
#include "io/allocations.h"

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <new>

namespace zhiyin::testing {
namespace {
std::atomic<size_t> largest{0};
}  // namespace

void reset_largest_allocation() { largest = 0; }
size_t largest_allocation() { return largest; }

static void note(size_t size) {
  size_t seen = largest.load();
  while (size > seen && !largest.compare_exchange_weak(seen, size)) {
  }
}

}  // namespace zhiyin::testing

void* operator new(size_t size) {
  zhiyin::testing::note(size);
  void* memory = std::malloc(std::max<size_t>(size, 1));
  if (memory == nullptr) throw std::bad_alloc();
  return memory;
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, size_t) noexcept { std::free(memory); }
