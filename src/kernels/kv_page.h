// How a page of the cache keeps the keys and the values of one head.
//
// Keys lie in blocks of 16 tokens, [4][head_dim][16], so that the scores of 16 tokens fill a vector
// without a sum across lanes; values lie token after token, [64][head_dim]. Elements are f32 or
// f16. kQ8_0 has signed bytes in the same order and behind them a scale in f16 for each 32 elements
// of a token: [head_dim / 32][64] of keys, [64][head_dim / 32] of values.
#pragma once

#include "kernels/kernels.h"

namespace zhiyin {

inline constexpr int64_t kKeyBlock = 16;    // tokens
inline constexpr int64_t kScaleBlock = 32;  // elements of a kQ8_0 scale

// Bytes of the keys, or of the values, of one head; a multiple of 64.
static inline int64_t kv_page_bytes(KvType type, int64_t head_dim) {
  const int64_t elements = kKvPageTokens * head_dim;
  switch (type) {
    case KvType::kF32:
      return elements * 4;
    case KvType::kF16:
      return elements * 2;
    case KvType::kQ8_0:
      return elements + elements / kScaleBlock * 2;
  }
  return 0;
}

// Of element i of a token's key.
static inline int64_t key_index(int64_t head_dim, int64_t token, int64_t i) {
  return (token / kKeyBlock * head_dim + i) * kKeyBlock + token % kKeyBlock;
}

// Where the scales of a kQ8_0 page begin.
static inline const uint16_t* page_scales(const void* page, int64_t head_dim) {
  return reinterpret_cast<const uint16_t*>(static_cast<const int8_t*>(page) +
                                           kKvPageTokens * head_dim);
}
static inline uint16_t* page_scales(void* page, int64_t head_dim) {
  return const_cast<uint16_t*>(page_scales(static_cast<const void*>(page), head_dim));
}

}  // namespace zhiyin
