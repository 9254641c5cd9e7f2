#include "base/checksum.h"

#define XXH_INLINE_ALL  // a third faster than the library's build
#include <xxhash.h>

namespace zhiyin {

uint64_t checksum(const void* data, size_t size, uint64_t seed) {
  return XXH3_64bits_withSeed(data, size, seed);
}

}  // namespace zhiyin
