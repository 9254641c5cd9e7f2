#include "kernels/probe.h"

#include <algorithm>
#include <chrono>
#include <cstring>

#if defined(__x86_64__)
#include "kernels/amx/kernels_amx.h"
#include "kernels/avx2/kernels_avx2.h"
#include "kernels/avx512/kernels_avx512.h"
#endif

namespace zhiyin {
namespace {

// The best of a few short runs, so that an interruption does not count. run(rounds) returns the
// number of operations.
double best_rate(int64_t (*run)(int64_t rounds)) {
  using Clock = std::chrono::steady_clock;
  double best = 0;
  for (int i = 0; i < 8; ++i) {
    const auto begin = Clock::now();
    const int64_t operations = run(500'000);
    const std::chrono::duration<double> seconds = Clock::now() - begin;
    best = std::max(best, static_cast<double>(operations) / seconds.count());
  }
  return best;
}

}  // namespace

#if defined(__x86_64__)
double probe_f32_peak(Isa isa) {
  if (kernel_table(isa) == nullptr || isa == Isa::kRef) return 0;
  return best_rate(isa == Isa::kAvx2 ? avx2::probe_f32 : avx512::probe_f32);
}
double probe_bf16_peak(Isa isa) {
  if (kernel_table(isa) == nullptr || isa < Isa::kAvx512) return 0;
  return best_rate(isa == Isa::kAmx ? amx::probe_bf16 : avx512::probe_bf16);
}
double probe_int8_peak(Isa isa) {
  if (kernel_table(isa) == nullptr || isa == Isa::kRef) return 0;
  return best_rate(isa == Isa::kAvx2 ? avx2::probe_int8 : avx512::probe_int8);
}
#else
double probe_f32_peak(Isa) { return 0; }
double probe_bf16_peak(Isa) { return 0; }
double probe_int8_peak(Isa) { return 0; }
#endif

uint64_t probe_read(const void* data, size_t bytes) {
  constexpr size_t kStreams = 4, kStep = 64, kAhead = 1024;
  const auto* base = static_cast<const unsigned char*>(data);
  const size_t each = bytes / kStreams / kStep * kStep;
  uint64_t sums[kStep / sizeof(uint64_t)] = {};
  const auto add = [&](const unsigned char* p) {
    for (uint64_t& sum : sums) {
      uint64_t word;
      std::memcpy(&word, p, sizeof(word));
      sum ^= word;
      p += sizeof(word);
    }
  };
  for (size_t at = 0; at < each; at += kStep) {
    for (size_t stream = 0; stream < kStreams; ++stream) {
      const unsigned char* p = base + stream * each + at;
      __builtin_prefetch(p + kAhead);
      add(p);
    }
  }
  for (size_t at = kStreams * each; at + kStep <= bytes; at += kStep) add(base + at);
  uint64_t total = 0;
  for (const uint64_t sum : sums) total ^= sum;
  return total;
}

}  // namespace zhiyin
