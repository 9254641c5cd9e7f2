// How attend kernels of every instruction set divide their scratch memory.
#pragma once

#include <cstdint>

#include "kernels/kernels.h"

namespace zhiyin {

// A row's sum of weights is kept in so many lanes.
inline constexpr int64_t kSumLanes = 16;

// Query rows that share one conversion of a page's keys and values.
inline constexpr int64_t kAttendRows = 64;

// head_dim up to whole vectors of 16 floats.
static inline int64_t attend_padded_dim(int64_t head_dim) { return (head_dim + 15) / 16 * 16; }

struct AttendScratch {
  float* keys;    // [head_dim][64]
  float* values;  // [64][padded_dim]
  float* scales;  // [2 * head_dim], of a page's keys or values
  float* q;       // [rows][head_dim], scaled
  float* out;     // [rows][padded_dim]
  float* scores;  // [rows][64]
  float* max;     // [rows]
  float* sums;    // [rows][kSumLanes]
  float* end;
};

// Hands out parts of a scratch memory, each from the start of a cache line on. Internal linkage:
// see the note in kernels.h.
namespace {
class ScratchParts {
 public:
  explicit ScratchParts(float* scratch)
      : next_((reinterpret_cast<uintptr_t>(scratch) + 63) / 64 * 64) {}

  float* floats(int64_t count) {
    float* part = end();
    next_ += static_cast<uintptr_t>((count + 15) / 16 * 16) * sizeof(float);
    return part;
  }
  uint16_t* halves(int64_t count) { return reinterpret_cast<uint16_t*>(floats((count + 1) / 2)); }
  float* end() const { return reinterpret_cast<float*>(next_); }

 private:
  uintptr_t next_;
};
}  // namespace

static inline AttendScratch attend_scratch(float* scratch, int64_t head_dim, int64_t rows) {
  const int64_t padded = attend_padded_dim(head_dim);
  const int64_t block = rows < kAttendRows ? rows : kAttendRows;
  ScratchParts take(scratch);
  AttendScratch parts;
  parts.keys = take.floats(head_dim * kKvPageTokens);
  parts.values = take.floats(kKvPageTokens * padded);
  parts.scales = take.floats(2 * head_dim);
  parts.q = take.floats(block * head_dim);
  parts.out = take.floats(block * padded);
  parts.scores = take.floats(block * kKvPageTokens);
  parts.max = take.floats(block);
  parts.sums = take.floats(block * kSumLanes);
  parts.end = take.end();
  return parts;
}

// The same for attention with products in bf16.
inline constexpr int64_t kAttendBf16Keys = 256;  // of a step

// head_dim up to whole panels.
static inline int64_t attend_bf16_padded_dim(int64_t head_dim) {
  return (head_dim + kPanelCols - 1) / kPanelCols * kPanelCols;
}

struct AttendBf16Scratch {
  uint16_t* keys;     // [256 / 32] panels [padded_dim / 2][32][2]
  uint16_t* values;   // [padded_dim / 32] panels [256 / 2][32][2]
  uint16_t* q;        // [rows][padded_dim], scaled
  uint16_t* weights;  // [32][256]
  float* scores;      // [32][256]
  float* scales;      // [2 * head_dim], of a page's keys or values
  float* out;         // [rows][padded_dim]
  float* max;         // [rows]
  float* sums;        // [rows][kSumLanes]
  float* end;
};

static inline AttendBf16Scratch attend_bf16_scratch(float* scratch, int64_t head_dim,
                                                    int64_t rows) {
  const int64_t padded = attend_bf16_padded_dim(head_dim);
  constexpr int64_t kGroup = 32;
  ScratchParts take(scratch);
  AttendBf16Scratch parts;
  parts.keys = take.halves(kAttendBf16Keys * padded);
  parts.values = take.halves(kAttendBf16Keys * padded);
  parts.q = take.halves(rows * padded);
  parts.weights = take.halves(kGroup * kAttendBf16Keys);
  parts.scores = take.floats(kGroup * kAttendBf16Keys);
  parts.scales = take.floats(2 * head_dim);
  parts.out = take.floats(rows * padded);
  parts.max = take.floats(rows);
  parts.sums = take.floats(rows * kSumLanes);
  parts.end = take.end();
  return parts;
}

}  // namespace zhiyin
