// What the measurements of this folder share.
#pragma once

#include <sys/mman.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <exception>
#include <functional>
#include <new>
#include <thread>
#include <vector>

namespace zhiyin::bench {

// Processor time of this process: a busy machine does not count, for work on one thread.
inline double processor_ms() {
  return static_cast<double>(std::clock()) * 1e3 / static_cast<double>(CLOCKS_PER_SEC);
}

inline double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

// The seconds of each repeat until work(0) ... work(threads - 1), run at once, have all ended.
inline std::vector<double> seconds(int threads, int repeats, const std::function<void(int)>& work) {
  std::vector<double> times;
  for (int i = 0; i < repeats; ++i) {
    const auto begin = std::chrono::steady_clock::now();
    std::vector<std::thread> others;
    for (int thread = 1; thread < threads; ++thread) others.emplace_back(work, thread);
    work(0);
    for (std::thread& other : others) other.join();
    times.push_back(
        std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count());
  }
  return times;
}

// Zeroed memory, on pages of 2 MB as the engine has its packed weights and its cache, or on small
// ones; std::free releases it.
inline uint8_t* allocate(int64_t bytes, bool large_pages = true) {
  constexpr int64_t kPage = 2 << 20;
  const auto size = static_cast<size_t>((bytes + kPage - 1) / kPage * kPage);
  auto* data = static_cast<uint8_t*>(std::aligned_alloc(kPage, size));
  if (data == nullptr) throw std::bad_alloc();
  madvise(data, size, large_pages ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
  std::memset(data, 0, size);
  return data;
}

// What main() returns: body's result, or 1 after what it threw is printed.
template <typename Body>
int guarded(const char* program, const Body& body) {
  try {
    return body();
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s: %s\n", program, error.what());
    return 1;
  }
}

}  // namespace zhiyin::bench
