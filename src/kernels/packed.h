// The packed form of quantised weights, made by pack_rows and read by gemm_packed. It holds exactly
// the codes and scales of the file, in the order in which a vector unit wants them, in as many
// bytes (up to 1.9 % more for Q3_K, 1 % for Q6_K).
//
// Sixteen rows form a group. Its columns are cut into blocks of 32, and a block into eight quads of
// four columns. A vector of 64 bytes holds one quad: byte 4 r + i is column i of row r, so that one
// dot product of bytes in lanes of 32 bits (VPDPBUSD) advances 16 rows by four columns, with four
// activations broadcast to all lanes, and no sum across lanes is ever needed. Codes are unsigned;
// what a format subtracts from its codes (offset) is taken off once a block by way of the sum of
// the activations.
//
// A group is a sequence of units, a unit a head followed by its blocks:
//   plain formats   2 blocks; the last unit has 1 if the number of blocks is odd
//   super-blocks    8 blocks
// Codes of a block, by bits; vectors in this order:
//   4 bits          4 vectors; vector v: low nibbles quad v, high nibbles quad v + 4
//   5               the low nibbles like that, then 1 vector: bit c is bit 4 of quad c
//   6               the low nibbles like that, then 2 vectors: bits 2i, 2i + 1 of vector h are bits
//                   4 and 5 of quad 4 h + i
//   8               8 vectors, one a quad; signed codes with 128 added
//   2               2 vectors: bits 2i, 2i + 1 of vector h are quad 4 h + i
//   3               the same for the low two bits, then 1 vector: bit c is bit 2 of quad c
// Heads (d, m, dmin: 16 IEEE halves, one a row; sub-blocks in the order of the columns):
//   kHalf           d of both blocks
//   kHalfMin        d of both blocks, m of both blocks
//   kSixBitMin      d, dmin, then 8 pairs (scale, min)
//   kSixBit         d, 32 zero bytes, then 8 pairs (scale 2j, scale 2j + 1), each with 32 added
//   kByte           d, 32 zero bytes, then 16 scales of 8 bits: byte 16 j + r
//   kNibbleMin      d, dmin, then 16 bytes 16 j + r: low nibble scale, high nibble min
//   kSixBitBlock    d, 32 bytes 16 j + r, j = 0, 1: bits 2k, 2k + 1 are bits 4 and 5 of scale
//                   j + 2 k; then 64 bytes 16 j + r: low nibble scale j, high nibble scale j + 4;
//                   each with 32 added
// Pairs of six bits (a, b), j = 0..7, take three vectors: byte 16 j + r of the first two is
// a & 15 | (b & 15) << 4; byte 16 j + r of the third, j = 0..3, has bits 4 and 5 of a_j, b_j, a_j+4
// and b_j+4 from the lowest bits up.
#pragma once

#include <cstdint>

#include "kernels/kernels.h"

namespace zhiyin {

inline constexpr int kPackVector = 64;  // bytes: 16 rows of four columns

enum class PackedHead : uint8_t {
  kHalf,
  kHalfMin,
  kSixBitMin,
  kSixBit,
  kByte,
  kNibbleMin,
  kSixBitBlock
};

struct PackedLayout {
  int bits;         // of a code; 0: no packed form
  int offset;       // weight = scale * (code - offset) + min
  int unit_blocks;  // blocks of 32 columns behind one head
  int head_vectors;
  int block_vectors;
  PackedHead head;
  bool has_min;
  bool halves;  // scales and mins of 16 columns rather than 32
  bool table;   // codes are indices of kIq4Values, its values with 128 added the weights
};

[[maybe_unused]] static constexpr PackedLayout packed_layout(Format format) {
  using enum PackedHead;
  switch (format) {
    case Format::kQ4_0:
      return {4, 8, 2, 1, 4, kHalf, false, false, false};
    case Format::kQ4_1:
      return {4, 0, 2, 2, 4, kHalfMin, true, false, false};
    case Format::kQ5_0:
      return {5, 16, 2, 1, 5, kHalf, false, false, false};
    case Format::kQ5_1:
      return {5, 0, 2, 2, 5, kHalfMin, true, false, false};
    case Format::kQ8_0:
      return {8, 128, 2, 1, 8, kHalf, false, false, false};
    case Format::kIQ4_NL:
      return {4, 128, 2, 1, 4, kHalf, false, false, true};
    case Format::kQ2_K:
      return {2, 0, 8, 5, 2, kNibbleMin, true, true, false};
    case Format::kQ3_K:
      return {3, 4, 8, 4, 3, kSixBit, false, true, false};
    case Format::kQ4_K:
      return {4, 0, 8, 4, 4, kSixBitMin, true, false, false};
    case Format::kQ5_K:
      return {5, 0, 8, 4, 5, kSixBitMin, true, false, false};
    case Format::kQ6_K:
      return {6, 32, 8, 5, 6, kByte, false, true, false};
    case Format::kIQ4_XS:
      return {4, 128, 8, 2, 4, kSixBitBlock, false, false, true};
    default:
      return {};
  }
}

// Static, as every instruction set's folder must compile its own copy.
[[maybe_unused]] static constexpr int head_bytes(const PackedLayout& layout) {
  return kPackVector * layout.head_vectors;
}
[[maybe_unused]] static constexpr int block_bytes(const PackedLayout& layout) {
  return kPackVector * layout.block_vectors;
}

// Calls call.template operator()<format>() for the constant that equals format.
template <typename Call>
inline void for_packed_format(Format format, const Call& call) {
  switch (format) {
    case Format::kQ4_0:
      return call.template operator()<Format::kQ4_0>();
    case Format::kQ4_1:
      return call.template operator()<Format::kQ4_1>();
    case Format::kQ5_0:
      return call.template operator()<Format::kQ5_0>();
    case Format::kQ5_1:
      return call.template operator()<Format::kQ5_1>();
    case Format::kQ8_0:
      return call.template operator()<Format::kQ8_0>();
    case Format::kIQ4_NL:
      return call.template operator()<Format::kIQ4_NL>();
    case Format::kQ2_K:
      return call.template operator()<Format::kQ2_K>();
    case Format::kQ3_K:
      return call.template operator()<Format::kQ3_K>();
    case Format::kQ4_K:
      return call.template operator()<Format::kQ4_K>();
    case Format::kQ5_K:
      return call.template operator()<Format::kQ5_K>();
    case Format::kQ6_K:
      return call.template operator()<Format::kQ6_K>();
    case Format::kIQ4_XS:
      return call.template operator()<Format::kIQ4_XS>();
    default:
      return;
  }
}

}  // namespace zhiyin
