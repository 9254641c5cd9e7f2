// The tile registers of AMX (Intel SDM volume 1, chapter 18), as assembly: the intrinsics of g++ 12
// take literal tile numbers alone. Tests run the same algorithm on emulated tiles too, since few
// machines have AMX.
#pragma once

#include <cstdint>

namespace zhiyin::amx {
namespace {

struct TileShape {
  uint8_t rows;       // up to 16
  uint8_t row_bytes;  // up to 64
};
struct TileShapes {
  TileShape all[8];
};

class HardwareTiles {
 public:
  // All eight tiles have 16 rows of 64 bytes. The registers belong to the thread while this lives.
  HardwareTiles()
      : HardwareTiles(
            {{{16, 64}, {16, 64}, {16, 64}, {16, 64}, {16, 64}, {16, 64}, {16, 64}, {16, 64}}}) {}
  explicit HardwareTiles(const TileShapes& shapes) {
    struct alignas(64) Configuration {
      uint8_t palette = 1;
      uint8_t start_row = 0;
      uint8_t reserved[14] = {};
      uint16_t row_bytes[16] = {};
      uint8_t rows[16] = {};
    };
    static_assert(sizeof(Configuration) == 64);
    Configuration configuration;
    for (int i = 0; i < 8; ++i) {
      configuration.row_bytes[i] = shapes.all[i].row_bytes;
      configuration.rows[i] = shapes.all[i].rows;
    }
    asm volatile("ldtilecfg %0" ::"m"(configuration));
  }
  ~HardwareTiles() { asm volatile("tilerelease"); }
  HardwareTiles(const HardwareTiles&) = delete;
  HardwareTiles& operator=(const HardwareTiles&) = delete;

  template <int kTile>
  void zero() {
    asm volatile("tilezero %%tmm%c0" ::"i"(kTile));
  }
  // Rows stride bytes apart.
  template <int kTile>
  void load(const void* p, int64_t stride) {
    asm volatile("tileloadd (%0,%1,1), %%tmm%c2" ::"r"(p), "r"(stride), "i"(kTile) : "memory");
  }
  template <int kTile>
  void store(void* p, int64_t stride) {
    asm volatile("tilestored %%tmm%c2, (%0,%1,1)" ::"r"(p), "r"(stride), "i"(kTile) : "memory");
  }
  // sum[m][n] += a[m][2 k] b[k][2 n] + a[m][2 k + 1] b[k][2 n + 1] over k < 16
  template <int kSum, int kA, int kB>
  void dot_bf16() {
    asm volatile("tdpbf16ps %%tmm%c2, %%tmm%c1, %%tmm%c0" ::"i"(kSum), "i"(kA), "i"(kB));
  }
  // sum[m][n] += sum over k, i < 4 of a[m][4 k + i] b[k][4 n + i], both signed bytes
  template <int kSum, int kA, int kB>
  void dot_signed_bytes() {
    asm volatile("tdpbssd %%tmm%c2, %%tmm%c1, %%tmm%c0" ::"i"(kSum), "i"(kA), "i"(kB));
  }
};

}  // namespace
}  // namespace zhiyin::amx
