// How attend kernels of every instruction set divide their scratch memory.
#pragma once

#include <cstdint>

#include "kernels/kernels.h"

namespace zhiyin {

// Query rows that share one conversion of a page's keys and values.
inline constexpr int64_t kAttendRows = 64;

// head_dim up to whole vectors of 16 floats.
static inline int64_t attend_padded_dim(int64_t head_dim) { return (head_dim + 15) / 16 * 16; }

struct AttendScratch {
  float* keys;    // [head_dim][64], a page transposed
  float* values;  // [64][padded_dim]
  float* q;       // [rows][head_dim], scaled
  float* out;     // [rows][padded_dim]
  float* scores;  // [rows][64]
  float* max;     // [rows]
  float* sum;     // [rows]
};

// Each part starts on a cache line. Internal linkage: see the note in kernels.h.
static inline AttendScratch attend_scratch(float* scratch, int64_t head_dim, int64_t rows) {
  const int64_t padded = attend_padded_dim(head_dim);
  const int64_t block = rows < kAttendRows ? rows : kAttendRows;
  uintptr_t next = (reinterpret_cast<uintptr_t>(scratch) + 63) / 64 * 64;
  const auto take = [&next](int64_t floats) {
    float* part = reinterpret_cast<float*>(next);
    next += static_cast<uintptr_t>((floats + 15) / 16 * 16) * sizeof(float);
    return part;
  };
  AttendScratch parts;
  parts.keys = take(head_dim * kKvPageTokens);
  parts.values = take(kKvPageTokens * padded);
  parts.q = take(block * head_dim);
  parts.out = take(block * padded);
  parts.scores = take(block * kKvPageTokens);
  parts.max = take(block);
  parts.sum = take(block);
  return parts;
}

}  // namespace zhiyin
