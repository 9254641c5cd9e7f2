// Memory in pages of 2 MB: who reads much of it in turn waits less for the table of pages.
#pragma once

#include <cstddef>
#include <cstdint>

namespace zhiyin {

inline constexpr size_t kLargePage = size_t{2} << 20;

// A size, or an address, up to the next page of 2 MB.
constexpr size_t to_large_page(size_t value) {
  return (value + kLargePage - 1) / kLargePage * kLargePage;
}

// Whether the system gives such pages to who asks.
bool system_has_large_pages();

// `size` zeroed bytes from the start of a page of 2 MB on, on such pages where the system has them;
// nullptr where there is no memory. munmap(start, size) gives them back.
uint8_t* map_large_pages(size_t size);

}  // namespace zhiyin
