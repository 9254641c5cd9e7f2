#include "base/large_pages.h"

#include <sys/mman.h>

#include <fstream>
#include <string>

namespace zhiyin {

bool system_has_large_pages() {
  std::ifstream file("/sys/kernel/mm/transparent_hugepage/enabled");
  std::string choices;  // "always [madvise] never"
  return std::getline(file, choices) && choices.find("[never]") == std::string::npos;
}

uint8_t* map_large_pages(size_t size) {
  const size_t reserved = size + kLargePage;  // the room to align in
  void* const room =
      mmap(nullptr, reserved, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (room == MAP_FAILED) return nullptr;
  auto* const begin = static_cast<uint8_t*>(room);
  const size_t before =
      to_large_page(reinterpret_cast<size_t>(room)) - reinterpret_cast<size_t>(room);
  if (before > 0) munmap(begin, before);
  if (before < kLargePage) munmap(begin + before + size, kLargePage - before);
  madvise(begin + before, size, MADV_HUGEPAGE);  // a wish; without it the pages are small
  return begin + before;
}

}  // namespace zhiyin
