// The packed form read one row and one column at a time, as plainly as its description in
// kernels/packed.h.
#pragma once

#include <cstring>

#include "kernels/packed.h"
#include "quant/blocks.h"
#include "quant/half.h"

namespace zhiyin::ref {
namespace {

constexpr int kHalfBlock = 16;  // columns; the shortest run of weights with one scale

// weight = scale * (code - offset) + min: scales and mins of one row, by half block of the unit.
struct Head {
  float scale[16];
  float min[16];
};

inline float load_half(const uint8_t* head, int piece, int row) {
  uint16_t half;
  std::memcpy(&half, head + 32 * piece + 2 * row, sizeof(half));
  return half_to_float(half);
}

// Pair j of six-bit numbers from the three vectors at `vectors`.
struct Pair {
  int a, b;
};
inline Pair load_pair(const uint8_t* vectors, int j, int row) {
  const int low = vectors[kPackRows * j + row];
  const int high = vectors[2 * kPackVector + kPackRows * (j % 4) + row] >> (4 * (j / 4));
  return {(low & 15) | (high & 3) << 4, low >> 4 | (high >> 2 & 3) << 4};
}

inline int load_six_bit_block(const uint8_t* head, int j, int row) {
  const int low = head[kPackVector + kPackRows * (j % 4) + row] >> (4 * (j / 4)) & 15;
  const int high = head[32 + kPackRows * (j % 2) + row] >> (2 * (j / 2)) & 3;
  return low | high << 4;
}

inline void read_head(const PackedLayout& layout, const uint8_t* head, int row, Head& out) {
  const auto set = [&](int half, float scale, float min = 0.0f) {
    out.scale[half] = scale;
    out.min[half] = min;
  };
  const float d = load_half(head, 0, row);
  const float d1 = load_half(head, 1, row);  // dmin, or d of the second block
  const uint8_t* tail = head + kPackVector;
  for (int half = 0; half < 2 * layout.unit_blocks; ++half) {
    const int block = half / 2;
    const Pair pair = layout.head_vectors == 4 ? load_pair(tail, block, row) : Pair{};
    switch (layout.head) {
      case PackedHead::kHalf:
        set(half, block == 0 ? d : d1);
        break;
      case PackedHead::kHalfMin:
        set(half, block == 0 ? d : d1, load_half(head, 2 + block, row));
        break;
      case PackedHead::kSixBitMin:
        set(half, d * static_cast<float>(pair.a), -d1 * static_cast<float>(pair.b));
        break;
      case PackedHead::kSixBit:
        set(half, d * static_cast<float>((half % 2 == 0 ? pair.a : pair.b) - 32));
        break;
      case PackedHead::kByte:
        set(half, d * static_cast<float>(static_cast<int8_t>(tail[kPackRows * half + row])));
        break;
      case PackedHead::kNibbleMin: {
        const int byte = tail[kPackRows * half + row];
        set(half, d * static_cast<float>(byte & 15), -d1 * static_cast<float>(byte >> 4));
        break;
      }
      case PackedHead::kSixBitBlock:
        set(half, d * static_cast<float>(load_six_bit_block(head, block, row) - 32));
        break;
    }
  }
}

// Code of a column, 0..31, of the block of vectors at `block`.
inline int read_code(const PackedLayout& layout, const uint8_t* block, int col, int row) {
  const int quad = col / 4, lane = 4 * row + col % 4;
  const auto byte = [&](int vector) { return block[kPackVector * vector + lane]; };
  const auto nibble = [&] { return byte(quad % 4) >> (4 * (quad / 4)) & 15; };
  const auto pair = [&](int vector) { return byte(vector + quad / 4) >> (2 * (quad % 4)) & 3; };
  const auto bit = [&](int vector) { return byte(vector) >> quad & 1; };
  switch (layout.bits) {
    case 2:
      return pair(0);
    case 3:
      return pair(0) | bit(2) << 2;
    case 4:
      return layout.table ? kIq4Values[nibble()] + 128 : nibble();
    case 5:
      return nibble() | bit(4) << 4;
    case 6:
      return nibble() | pair(4) << 4;
    default:
      return byte(quad);
  }
}

}  // namespace
}  // namespace zhiyin::ref
