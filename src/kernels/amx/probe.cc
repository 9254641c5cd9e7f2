#include "kernels/amx/hardware_tiles.h"
#include "kernels/amx/kernels_amx.h"

namespace zhiyin::amx {

int64_t probe_bf16(int64_t rounds) {
  HardwareTiles tiles;
  tiles.zero<0>(), tiles.zero<1>(), tiles.zero<2>(), tiles.zero<3>();
  tiles.zero<4>(), tiles.zero<5>(), tiles.zero<6>(), tiles.zero<7>();
  // Four sums that do not wait for each other, as in the product.
  for (int64_t i = 0; i < rounds; ++i) {
    tiles.dot_bf16<0, 4, 6>();
    tiles.dot_bf16<1, 4, 7>();
    tiles.dot_bf16<2, 5, 6>();
    tiles.dot_bf16<3, 5, 7>();
  }
  constexpr int64_t kPerDot = 2 * 16 * 16 * 32;
  return rounds * 4 * kPerDot;
}

}  // namespace zhiyin::amx
