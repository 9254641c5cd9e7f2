// A checksum of bytes, to find what a disk or a crash has damaged; no protection against intent.
#pragma once

#include <cstddef>
#include <cstdint>

namespace zhiyin {

// XXH3 of 64 bits (github.com/Cyan4973/xxHash); about as fast as memory is read. Chains by `seed`.
uint64_t checksum(const void* data, size_t size, uint64_t seed = 0);

}  // namespace zhiyin
