// Reading the packed form: heads and codes into vectors, written once for every vector width. A
// Simd type of an instruction set's folder gives the vectors; see avx512/packed_simd.h for what one
// has to have.
//
// Included by .cc files of those folders alone; everything is local to them.
#pragma once

#include <cstdint>

#include "kernels/packed.h"
#include "quant/blocks.h"

#define ZY_INLINE [[gnu::always_inline]] inline

namespace zhiyin {
namespace {

// Scales and mins of 16 rows, one array of 16 a (half) block.
using RowFloats = float[kPackRows];
// 16 bytes of a head, one a row.
using Piece [[gnu::vector_size(kPackRows)]] = uint8_t;

constexpr int halves_of(const PackedLayout& layout) { return layout.halves ? 2 : 1; }

// Bits of a code as it goes into the product, and what is then still to be taken off: where the
// set multiplies signed bytes, codes of eight bits come without their 128.
constexpr int dot_bits(const PackedLayout& layout) { return layout.table ? 8 : layout.bits; }
template <typename Simd>
constexpr int dot_offset(const PackedLayout& layout) {
  return Simd::kSignedBytes && dot_bits(layout) == 8 ? 0 : layout.offset;
}

// ---- heads
// ---------------------------------------------------------------------------------------

ZY_INLINE Piece load_piece(const uint8_t* p, int index) {
  return *reinterpret_cast<const Piece*>(p + kPackRows * index);
}

// The pair j of six-bit numbers in the three vectors at p.
struct SixBitPair {
  Piece a, b;
};
ZY_INLINE SixBitPair load_pair(const uint8_t* p, int j) {
  const Piece low = load_piece(p, j);
  const Piece high = load_piece(p + 2 * kPackVector, j % 4) >> (4 * (j / 4));
  return {(low & 15) | (high & 3) << 4, low >> 4 | (high & 12) << 2};
}

// weight = scale * (code - offset) + min for all (half) blocks of a unit. `min` is written for
// formats that have one.
template <typename Simd, Format kFormat>
ZY_INLINE void unpack_head(const uint8_t* p, RowFloats* scale, RowFloats* min) {
  constexpr PackedHead kHead = packed_layout(kFormat).head;
  using enum PackedHead;
  const uint8_t* tail = p + kPackVector;
  if constexpr (kHead == kHalf || kHead == kHalfMin) {
    Simd::load_halves(p, scale[0]);
    Simd::load_halves(p + 32, scale[1]);
    if constexpr (kHead == kHalfMin) {
      Simd::load_halves(tail, min[0]);
      Simd::load_halves(tail + 32, min[1]);
    }
    return;
  }
  alignas(64) RowFloats d, dmin;
  Simd::load_halves(p, d);
  if constexpr (kHead == kSixBitMin || kHead == kNibbleMin) {
    Simd::load_halves(p + 32, dmin);
    for (float& value : dmin) value = -value;
  }
  if constexpr (kHead == kSixBitMin) {
    for (int j = 0; j < 8; ++j) {
      const SixBitPair pair = load_pair(tail, j);
      Simd::scale_bytes(pair.a, 0, d, scale[j]);
      Simd::scale_bytes(pair.b, 0, dmin, min[j]);
    }
  }
  if constexpr (kHead == kSixBit) {
    for (int j = 0; j < 8; ++j) {
      const SixBitPair pair = load_pair(tail, j);
      Simd::scale_bytes(pair.a, 32, d, scale[2 * j]);
      Simd::scale_bytes(pair.b, 32, d, scale[2 * j + 1]);
    }
  }
  if constexpr (kHead == kByte) {  // signed: 128 is added and taken off
    for (int j = 0; j < 16; ++j) {
      Simd::scale_bytes(load_piece(tail, j) ^ 128, 128, d, scale[j]);
    }
  }
  if constexpr (kHead == kNibbleMin) {
    for (int j = 0; j < 16; ++j) {
      const Piece piece = load_piece(tail, j);
      Simd::scale_bytes(piece & 15, 0, d, scale[j]);
      Simd::scale_bytes(piece >> 4, 0, dmin, min[j]);
    }
  }
  if constexpr (kHead == kSixBitBlock) {
    for (int j = 0; j < 8; ++j) {
      const Piece low = load_piece(tail, j % 4) >> (4 * (j / 4)) & 15;
      const Piece high = load_piece(p + 32, j % 2) >> (2 * (j / 2)) & 3;
      Simd::scale_bytes(low | high << 4, 32, d, scale[j]);
    }
  }
}

// ---- codes
// ---------------------------------------------------------------------------------------

// value moved left by kBits, or right where negative.
template <int kBits, typename Ints>
ZY_INLINE Ints shift(Ints value) {
  if constexpr (kBits >= 0) {
    return value << kBits;
  } else {
    return value >> -kBits;
  }
}

// quads[kQuad ...] |= the kWidth bits of each of kCount quads in vector, moved up to bit kAt.
template <int kCount, int kWidth, int kAt, int kQuad = 0, typename Ints>
ZY_INLINE void merge_bits(Ints vector, Ints mask, Ints* quads) {
  if constexpr (kQuad < kCount) {
    quads[kQuad] |= shift<kAt - kWidth * kQuad>(vector) & mask;
    merge_bits<kCount, kWidth, kAt, kQuad + 1>(vector, mask, quads);
  }
}

// The eight quads of a block, for the rows whose bytes begin at p: bytes for Simd::dot.
template <typename Simd, Format kFormat>
ZY_INLINE void unpack_codes(const uint8_t* p, typename Simd::Ints quads[8]) {
  using Ints = typename Simd::Ints;
  constexpr PackedLayout kLayout = packed_layout(kFormat);
  constexpr int kBits = kLayout.bits;
  const auto load = [&](int vector) { return Simd::load(p + kPackVector * vector); };
  if constexpr (kBits == 8) {
    for (int c = 0; c < 8; ++c) {
      quads[c] = Simd::kSignedBytes ? load(c) ^ Simd::set_bytes(-128) : load(c);
    }
    return;
  }
  if constexpr (kBits >= 4) {
    const Ints nibble = Simd::set_bytes(15);
    for (int v = 0; v < 4; ++v) {
      const Ints vector = load(v);
      quads[v] = vector & nibble;
      quads[v + 4] = (vector >> 4) & nibble;
    }
  } else {
    for (int c = 0; c < 8; ++c) quads[c] = Ints{};
  }
  if constexpr (kLayout.table) {
    for (int c = 0; c < 8; ++c) {
      quads[c] = Simd::look_up(kIq4Values, quads[c]);
      if constexpr (!Simd::kSignedBytes) quads[c] ^= Simd::set_bytes(-128);
    }
  }
  if constexpr (kBits == 2 || kBits == 3 || kBits == 6) {
    constexpr int kAt = kBits == 6 ? 4 : 0;
    constexpr int kFirst = kBits == 6 ? 4 : 0;
    const Ints mask = Simd::set_bytes(3 << kAt);
    merge_bits<4, 2, kAt>(load(kFirst), mask, quads);
    merge_bits<4, 2, kAt>(load(kFirst + 1), mask, quads + 4);
  }
  if constexpr (kBits == 3 || kBits == 5) {
    merge_bits<8, 1, kBits - 1>(load(kLayout.block_vectors - 1), Simd::set_bytes(1 << (kBits - 1)),
                                quads);
  }
}

}  // namespace
}  // namespace zhiyin
