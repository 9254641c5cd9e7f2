// Twelve chains of one operation that do not wait for each other: enough to fill two units of a
// latency of up to six cycles.
#pragma once

#include <cstdint>

namespace zhiyin {
namespace {

constexpr int kProbeChains = 12;

// Applies step to each of the chains, rounds times.
template <typename Vector, typename Step>
inline void run_chains(int64_t rounds, const Vector& start, const Step& step) {
  Vector a0 = start, a1 = start, a2 = start, a3 = start, a4 = start, a5 = start;
  Vector a6 = start, a7 = start, a8 = start, a9 = start, a10 = start, a11 = start;
  // The compiler must neither fold chains of equal values nor leave a round out.
  for (int64_t i = 0; i < rounds; ++i) {
    asm volatile("" : "+x"(a0), "+x"(a1), "+x"(a2), "+x"(a3), "+x"(a4), "+x"(a5));
    asm volatile("" : "+x"(a6), "+x"(a7), "+x"(a8), "+x"(a9), "+x"(a10), "+x"(a11));
    a0 = step(a0), a1 = step(a1), a2 = step(a2), a3 = step(a3), a4 = step(a4), a5 = step(a5);
    a6 = step(a6), a7 = step(a7), a8 = step(a8), a9 = step(a9), a10 = step(a10), a11 = step(a11);
  }
  asm volatile("" : : "x"(a0), "x"(a1), "x"(a2), "x"(a3), "x"(a4), "x"(a5));
  asm volatile("" : : "x"(a6), "x"(a7), "x"(a8), "x"(a9), "x"(a10), "x"(a11));
}

}  // namespace
}  // namespace zhiyin
