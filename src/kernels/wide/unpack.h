// Decoding of the weight formats whose codes take some putting together; the others are as fast in
// src/quant. The bits are those of format_info(format).unpack: products and sums stay apart.
#pragma once

#include "kernels/kernels.h"
#include "kernels/wide/rows.h"
#include "quant/blocks.h"

namespace zhiyin::wide {
namespace {

using Bytes16 [[gnu::vector_size(16)]] = uint8_t;
using Bytes32 [[gnu::vector_size(32)]] = uint8_t;
using Words8 [[gnu::vector_size(32)]] = uint32_t;

template <typename Bytes>
[[gnu::always_inline]] inline Bytes load_bytes(const uint8_t* p) {
  Bytes bytes;
  __builtin_memcpy(&bytes, p, sizeof bytes);
  return bytes;
}

// The codes of a plain block: low nibbles, then high ones, and where there is one the fifth bit.
template <typename Block>
[[gnu::always_inline]] inline Bytes32 plain_codes(const Block& block) {
  const Bytes16 packed = load_bytes<Bytes16>(block.qs);
  const Bytes16 low = packed & 15;
  const Bytes16 high = packed >> 4;
  Bytes32 codes =
      __builtin_shufflevector(low, high, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16,
                              17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31);
  if constexpr (requires { block.qh; }) {
    uint32_t fifth;
    __builtin_memcpy(&fifth, block.qh, sizeof fifth);
    const auto repeated = (Bytes32)(Words8{} + fifth);
    // Byte j of the result is the one that holds bit j; each lane of 16 picks from itself.
    const Bytes32 bytes =
        __builtin_shufflevector(repeated, repeated, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1,
                                18, 18, 18, 18, 18, 18, 18, 18, 19, 19, 19, 19, 19, 19, 19, 19);
    constexpr Bytes32 kBit = {1, 2, 4, 8, 16, 32, 64, 128, 1, 2, 4, 8, 16, 32, 64, 128,
                              1, 2, 4, 8, 16, 32, 64, 128, 1, 2, 4, 8, 16, 32, 64, 128};
    const Bytes32 spread = bytes & kBit;
    codes |= (Bytes32)(spread == kBit) & 16;
  }
  return codes;
}

// y = scale * code (+ offset) for n codes.
template <typename L, bool kOffset>
[[gnu::always_inline]] inline void decode(const Bytes32& codes, int first, int n, float scale,
                                          float offset, float* y) {
  int8_t bytes[sizeof codes];
  __builtin_memcpy(bytes, &codes, sizeof codes);
  for (int i = 0; i < n; i += L::kCount) {
    typename L::Vec x = L::mul(L::load_int8(bytes + first + i), L::set(scale));
    if constexpr (kOffset) x = L::add(x, L::set(offset));
    L::store(y + i, {}, x);
  }
}

template <typename L, typename Block>
void unpack_plain(const void* source, float* y, int64_t n) {
  const auto* block = static_cast<const Block*>(source);
  constexpr int kMiddle = requires { block->qh; } ? 16 : 8;
  for (; n > 0; n -= kBlock, y += kBlock, ++block) {
    const float d = L::from_half(block->d);
    if constexpr (requires { block->m; }) {
      decode<L, true>(plain_codes(*block), 0, kBlock, d, L::from_half(block->m), y);
    } else {
      decode<L, false>(plain_codes(*block) - kMiddle, 0, kBlock, d, 0, y);
    }
  }
}

template <typename L>
void unpack_q6_k(const void* source, float* y, int64_t n) {
  const auto* block = static_cast<const BlockQ6_K*>(source);
  for (; n > 0; n -= kSuperBlock, ++block) {
    const float d = L::from_half(block->d);
    for (int half = 0; half < 2; ++half) {
      const Bytes32 upper = load_bytes<Bytes32>(block->qh + 32 * half);
#pragma GCC unroll 4
      for (int k = 0; k < 4; ++k) {
        const Bytes32 packed = load_bytes<Bytes32>(block->ql + 64 * half + 32 * (k % 2));
        const Bytes32 lower = k < 2 ? packed & 15 : packed >> 4;
        const Bytes32 codes = (lower | (upper >> (2 * k) & 3) << 4) - 32;
        const int8_t* scales = block->scales + 8 * half + 2 * k;
        decode<L, false>(codes, 0, 16, d * static_cast<float>(scales[0]), 0, y);
        decode<L, false>(codes, 16, 16, d * static_cast<float>(scales[1]), 0, y + 16);
        y += 32;
      }
    }
  }
}

template <typename L>
void unpack(Format format, const void* source, float* target, int64_t n) {
  switch (format) {
    case Format::kF16:
      for_lanes<L>(n, [&](int64_t i, auto part) {
        L::store(target + i, part, L::load_f16(static_cast<const uint8_t*>(source) + 2 * i, part));
      });
      return;
    case Format::kQ4_0:
      return unpack_plain<L, BlockQ4_0>(source, target, n);
    case Format::kQ4_1:
      return unpack_plain<L, BlockQ4_1>(source, target, n);
    case Format::kQ5_0:
      return unpack_plain<L, BlockQ5_0>(source, target, n);
    case Format::kQ5_1:
      return unpack_plain<L, BlockQ5_1>(source, target, n);
    case Format::kQ6_K:
      return unpack_q6_k<L>(source, target, n);
    default:
      return format_info(format).unpack(source, target, n);
  }
}

}  // namespace
}  // namespace zhiyin::wide
