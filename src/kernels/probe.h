// What this machine can do at best, to set measured speeds against: peak arithmetic of one thread
// and a kernel that reads memory as fast as one thread can. Threads are the caller's: a probe run
// on n threads at once gives the limit of n threads.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/kernels.h"

namespace zhiyin {

// Operations a second of the calling thread with the given instruction set, a multiplication and an
// addition being two; takes about 20 ms. 0 where the CPU or the set lacks such an instruction.
double probe_f32_peak(Isa isa);   // fused multiply-add
double probe_bf16_peak(Isa isa);  // dot product of bf16 pairs
double probe_int8_peak(Isa isa);  // dot product of bytes

// Reads the bytes once, as four streams with a prefetch each. The result depends on all of them.
uint64_t probe_read(const void* data, size_t bytes);

}  // namespace zhiyin
