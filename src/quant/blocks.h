// Byte layouts of the quantised blocks, exactly as they lie in a file (little-endian), and the
// decoding of the packed sub-block scales. docs/formats/quantised-blocks.md draws them.
//
// Plain data for this folder and for the kernels. Functions are static, because every instruction
// set's folder must compile its own copy. Blocks need 2-byte alignment, which every file gives.
// d and dmin are IEEE halves; x is the value that a code stands for.
#pragma once

#include <cstdint>

namespace zhiyin {

inline constexpr int kBlock = 32;        // elements of a plain block
inline constexpr int kSuperBlock = 256;  // elements of a block of the K formats and of IQ4_XS

// Plain blocks. Element j is the low nibble of qs[j], element j + 16 the high nibble; the fifth
// bit of element j is bit j of qh read as a 32-bit number.

struct BlockQ4_0 {  // x = d * (q - 8)
  uint16_t d;
  uint8_t qs[16];
};
struct BlockQ4_1 {  // x = d * q + m
  uint16_t d, m;
  uint8_t qs[16];
};
struct BlockQ5_0 {  // x = d * (q - 16)
  uint16_t d;
  uint8_t qh[4];
  uint8_t qs[16];
};
struct BlockQ5_1 {  // x = d * q + m
  uint16_t d, m;
  uint8_t qh[4];
  uint8_t qs[16];
};
struct BlockQ8_0 {  // x = d * q
  uint16_t d;
  int8_t qs[32];
};
struct BlockIQ4_NL {  // x = d * kIq4Values[q]
  uint16_t d;
  uint8_t qs[16];
};

// Super-blocks: 256 elements in sub-blocks of 16 or 32 with a scale (and min) each.

struct BlockQ2_K {     // x = d * scale * q - dmin * min; 16 sub-blocks of 16
  uint8_t scales[16];  // low nibble scale, high nibble min
  uint8_t qs[64];      // element 128h + 32k + j: bits 2k, 2k + 1 of qs[32h + j]
  uint16_t d, dmin;
};
struct BlockQ3_K {     // x = d * (scale - 32) * (q - 4); 16 sub-blocks of 16
  uint8_t hmask[32];   // third bit of element 32k + j: bit k of hmask[j]
  uint8_t qs[64];      // low two bits, as in Q2_K
  uint8_t scales[12];  // 16 scales of 6 bits, see unpack_scales_q3
  uint16_t d;
};
struct BlockQ4_K {  // x = d * scale * q - dmin * min; 8 sub-blocks of 32
  uint16_t d, dmin;
  uint8_t scales[12];  // 8 scales and 8 mins of 6 bits, see unpack_scales_q4
  uint8_t qs[128];     // element 64g + j: low nibble of qs[32g + j]; 64g + 32 + j: high nibble
};
struct BlockQ5_K {  // as Q4_K with a fifth bit
  uint16_t d, dmin;
  uint8_t scales[12];
  uint8_t qh[32];  // fifth bit of element 32k + j: bit k of qh[j]
  uint8_t qs[128];
};
struct BlockQ6_K {  // x = d * scale * (q - 32); 16 sub-blocks of 16
  uint8_t ql[128];  // low four bits; half h, j < 64: element 128h + j low nibble of ql[64h + j],
                    // element 128h + 64 + j high nibble
  uint8_t qh[64];   // upper two bits of element 128h + 32k + j: bits 2k, 2k + 1 of qh[32h + j]
  int8_t scales[16];
  uint16_t d;
};
struct BlockIQ4_XS {  // x = d * (scale - 32) * kIq4Values[q]; 8 sub-blocks of 32
  uint16_t d;
  uint16_t scales_h;    // upper two bits of scale k: bits 2k, 2k + 1
  uint8_t scales_l[4];  // lower four bits, scale 2k in the low nibble of scales_l[k]
  uint8_t qs[128];      // each 16 bytes as a plain block
};

static_assert(sizeof(BlockQ4_0) == 18 && sizeof(BlockQ4_1) == 20);
static_assert(sizeof(BlockQ5_0) == 22 && sizeof(BlockQ5_1) == 24);
static_assert(sizeof(BlockQ8_0) == 34 && sizeof(BlockIQ4_NL) == 18);
static_assert(sizeof(BlockQ2_K) == 84 && sizeof(BlockQ3_K) == 110);
static_assert(sizeof(BlockQ4_K) == 144 && sizeof(BlockQ5_K) == 176);
static_assert(sizeof(BlockQ6_K) == 210 && sizeof(BlockIQ4_XS) == 136);

// The sixteen values of the non-linear four-bit formats: dense near zero, as weights are.
inline constexpr int8_t kIq4Values[16] = {-127, -104, -83, -65, -49, -35, -22, -10,
                                          1,    13,   25,  38,  53,  69,  89,  113};

// Q4_K and Q5_K: the first four scales and mins are the low six bits of bytes 0-3 and 4-7; the
// other four have their low nibbles in bytes 8-11 and their upper two bits on top of bytes 0-7.
[[maybe_unused]] static void unpack_scales_q4(const uint8_t* packed, uint8_t scales[8],
                                              uint8_t mins[8]) {
  for (int j = 0; j < 4; ++j) {
    const uint8_t low = packed[j], high = packed[j + 4], both = packed[j + 8];
    scales[j] = low & 63;
    mins[j] = high & 63;
    scales[j + 4] = static_cast<uint8_t>((both & 15) | (low >> 6) << 4);
    mins[j + 4] = static_cast<uint8_t>((both >> 4) | (high >> 6) << 4);
  }
}

// Q3_K: scale j has its low four bits in a nibble of bytes 0-7 (low nibbles first) and its upper
// two bits in byte 8 + j % 4. The result is signed: 32 is already taken off.
[[maybe_unused]] static void unpack_scales_q3(const uint8_t* packed, int8_t scales[16]) {
  for (int j = 0; j < 16; ++j) {
    const int low = j < 8 ? packed[j] & 15 : packed[j - 8] >> 4;
    const int high = (packed[8 + j % 4] >> (2 * (j / 4))) & 3;
    scales[j] = static_cast<int8_t>((low | high << 4) - 32);
  }
}

// IQ4_XS, 32 already taken off.
[[maybe_unused]] static void unpack_scales_iq4_xs(const BlockIQ4_XS& block, int8_t scales[8]) {
  for (int j = 0; j < 8; ++j) {
    const int low = (block.scales_l[j / 2] >> (4 * (j % 2))) & 15;
    const int high = (block.scales_h >> (2 * j)) & 3;
    scales[j] = static_cast<int8_t>((low | high << 4) - 32);
  }
}

}  // namespace zhiyin
