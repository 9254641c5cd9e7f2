#include <cstring>

#include "kernels/packed.h"
#include "kernels/ref/kernels_ref.h"
#include "quant/blocks.h"

namespace zhiyin::ref {
namespace {

constexpr uint32_t kOnes = 0x01010101;  // one in each byte of a quad

uint32_t load_quad(const void* bytes) {
  uint32_t quad;
  std::memcpy(&quad, bytes, sizeof(quad));
  return quad;
}

// One row's bytes of the vectors at target.
struct Lane {
  uint8_t* target;
  int row;

  void quad(int vector, uint32_t value) const {
    std::memcpy(target + kPackVector * vector + 4 * row, &value, sizeof(value));
  }
  void half(int index, uint16_t value) const {  // index: which of the 16-half pieces
    std::memcpy(target + 32 * index + 2 * row, &value, sizeof(value));
  }
  uint8_t& byte(int vector, int index) const {  // index: which of the 16-byte pieces
    return target[kPackVector * vector + kPackRows * index + row];
  }
};

// Writes the codes of 32 columns, one to a byte.
void write_codes(int bits, const uint32_t codes[8], Lane lane) {
  int vector = 0;
  if (bits >= 4 && bits < 8) {
    for (int v = 0; v < 4; ++v) {
      lane.quad(vector++, (codes[v] & 15 * kOnes) | (codes[v + 4] & 15 * kOnes) << 4);
    }
  }
  if (bits == 8) {
    for (int c = 0; c < 8; ++c) lane.quad(vector++, codes[c]);
  }
  if (bits == 6 || bits <= 3) {
    const int shift = bits == 6 ? 4 : 0;
    for (int h = 0; h < 2; ++h) {
      uint32_t pairs = 0;
      for (int i = 0; i < 4; ++i) pairs |= (codes[4 * h + i] >> shift & 3 * kOnes) << (2 * i);
      lane.quad(vector++, pairs);
    }
  }
  if (bits == 5 || bits == 3) {
    uint32_t high = 0;
    for (int c = 0; c < 8; ++c) high |= (codes[c] >> (bits - 1) & kOnes) << c;
    lane.quad(vector++, high);
  }
}

// Pairs of six bits, as packed.h lays them out, to the three vectors from `vector` on.
void write_pairs(const uint8_t a[8], const uint8_t b[8], Lane lane, int vector) {
  for (int j = 0; j < 8; ++j) {
    lane.byte(vector, j) = static_cast<uint8_t>((a[j] & 15) | (b[j] & 15) << 4);
  }
  for (int j = 0; j < 4; ++j) {
    lane.byte(vector + 2, j) =
        static_cast<uint8_t>(a[j] >> 4 | b[j] >> 4 << 2 | a[j + 4] >> 4 << 4 | b[j + 4] >> 4 << 6);
  }
}

// Codes of plain blocks.
void read_nibbles(const uint8_t* qs, uint32_t codes[8]) {
  for (int v = 0; v < 4; ++v) {
    const uint32_t quad = load_quad(qs + 4 * v);
    codes[v] = quad & 15 * kOnes;
    codes[v + 4] = quad >> 4 & 15 * kOnes;
  }
}
void add_fifth_bits(const uint8_t* qh, uint32_t codes[8]) {
  const uint32_t bits = load_quad(qh);
  // The product copies the four bits so that bit k also stands at bit 8 k.
  for (int c = 0; c < 8; ++c) codes[c] |= ((bits >> 4 * c & 15) * 0x00204081 & kOnes) << 4;
}

void read_codes(const BlockQ4_0& block, uint32_t codes[8]) { read_nibbles(block.qs, codes); }
void read_codes(const BlockQ4_1& block, uint32_t codes[8]) { read_nibbles(block.qs, codes); }
void read_codes(const BlockQ5_0& block, uint32_t codes[8]) {
  read_nibbles(block.qs, codes);
  add_fifth_bits(block.qh, codes);
}
void read_codes(const BlockQ5_1& block, uint32_t codes[8]) {
  read_nibbles(block.qs, codes);
  add_fifth_bits(block.qh, codes);
}
void read_codes(const BlockIQ4_NL& block, uint32_t codes[8]) { read_nibbles(block.qs, codes); }
void read_codes(const BlockQ8_0& block, uint32_t codes[8]) {
  for (int c = 0; c < 8; ++c) codes[c] = load_quad(block.qs + 4 * c) ^ 128 * kOnes;
}

// Codes of block k, 0..7, of a super-block.
void read_codes(const BlockQ2_K& block, int k, uint32_t codes[8]) {
  for (int c = 0; c < 8; ++c) {
    codes[c] = load_quad(block.qs + 32 * (k / 4) + 4 * c) >> (2 * (k % 4)) & 3 * kOnes;
  }
}
void read_codes(const BlockQ3_K& block, int k, uint32_t codes[8]) {
  for (int c = 0; c < 8; ++c) {
    codes[c] = load_quad(block.qs + 32 * (k / 4) + 4 * c) >> (2 * (k % 4)) & 3 * kOnes;
    codes[c] |= (load_quad(block.hmask + 4 * c) >> k & kOnes) << 2;
  }
}
void read_codes(const BlockQ4_K& block, int k, uint32_t codes[8]) {
  for (int c = 0; c < 8; ++c) {
    codes[c] = load_quad(block.qs + 32 * (k / 2) + 4 * c) >> (4 * (k % 2)) & 15 * kOnes;
  }
}
void read_codes(const BlockQ5_K& block, int k, uint32_t codes[8]) {
  for (int c = 0; c < 8; ++c) {
    codes[c] = load_quad(block.qs + 32 * (k / 2) + 4 * c) >> (4 * (k % 2)) & 15 * kOnes;
    codes[c] |= (load_quad(block.qh + 4 * c) >> k & kOnes) << 4;
  }
}
void read_codes(const BlockQ6_K& block, int k, uint32_t codes[8]) {
  const uint8_t* low = block.ql + 64 * (k / 4) + 32 * (k % 2);
  const uint8_t* high = block.qh + 32 * (k / 4);
  for (int c = 0; c < 8; ++c) {
    codes[c] = load_quad(low + 4 * c) >> (4 * (k / 2 % 2)) & 15 * kOnes;
    codes[c] |= (load_quad(high + 4 * c) >> (2 * (k % 4)) & 3 * kOnes) << 4;
  }
}
void read_codes(const BlockIQ4_XS& block, int k, uint32_t codes[8]) {
  read_nibbles(block.qs + 16 * k, codes);
}

// Heads of super-blocks.
void write_head(const BlockQ2_K& block, Lane lane) {
  lane.half(0, block.d);
  lane.half(1, block.dmin);
  for (int j = 0; j < 16; ++j) lane.byte(1, j) = block.scales[j];
}
void write_head(const BlockQ3_K& block, Lane lane) {
  lane.half(0, block.d);
  int8_t scales[16];
  unpack_scales_q3(block.scales, scales);
  uint8_t even[8], odd[8];
  for (int j = 0; j < 8; ++j) {
    even[j] = static_cast<uint8_t>(scales[2 * j] + 32);
    odd[j] = static_cast<uint8_t>(scales[2 * j + 1] + 32);
  }
  write_pairs(even, odd, lane, 1);
}
template <typename Block>  // Q4_K, Q5_K
void write_head_q4(const Block& block, Lane lane) {
  lane.half(0, block.d);
  lane.half(1, block.dmin);
  uint8_t scales[8], mins[8];
  unpack_scales_q4(block.scales, scales, mins);
  write_pairs(scales, mins, lane, 1);
}
void write_head(const BlockQ4_K& block, Lane lane) { write_head_q4(block, lane); }
void write_head(const BlockQ5_K& block, Lane lane) { write_head_q4(block, lane); }
void write_head(const BlockQ6_K& block, Lane lane) {
  lane.half(0, block.d);
  for (int j = 0; j < 16; ++j) lane.byte(1, j) = static_cast<uint8_t>(block.scales[j]);
}
void write_head(const BlockIQ4_XS& block, Lane lane) {
  lane.half(0, block.d);
  int8_t scales[8];
  unpack_scales_iq4_xs(block, scales);
  const auto code = [&](int j) { return scales[j] + 32; };
  for (int j = 0; j < 2; ++j) {
    int high = 0;
    for (int k = 0; k < 4; ++k) high |= code(j + 2 * k) >> 4 << (2 * k);
    lane.byte(0, 2 + j) = static_cast<uint8_t>(high);
  }
  for (int j = 0; j < 4; ++j) {
    lane.byte(1, j) = static_cast<uint8_t>((code(j) & 15) | (code(j + 4) & 15) << 4);
  }
}

// One row's share of a unit; blocks: how many of a plain unit's two there are.
template <typename Block>
void write_plain_unit(const PackedLayout& layout, const Block* source, int blocks, Lane lane) {
  for (int k = 0; k < blocks; ++k) {
    lane.half(k, source[k].d);
    if constexpr (requires { source[k].m; }) lane.half(2 + k, source[k].m);
    uint32_t codes[8];
    read_codes(source[k], codes);
    write_codes(layout.bits, codes,
                {lane.target + head_bytes(layout) + k * block_bytes(layout), lane.row});
  }
}
template <typename Block>
void write_super_unit(const PackedLayout& layout, const Block& source, Lane lane) {
  write_head(source, lane);
  for (int k = 0; k < 8; ++k) {
    uint32_t codes[8];
    read_codes(source, k, codes);
    write_codes(layout.bits, codes,
                {lane.target + head_bytes(layout) + k * block_bytes(layout), lane.row});
  }
}

// Unit after unit and in it row after row, so that the vectors being filled stay in the cache.
template <typename Block>
void pack_group(const PackedLayout& layout, const uint8_t* source, int64_t row_bytes, int rows,
                int64_t cols, uint8_t* target) {
  constexpr bool kSuper = sizeof(Block) >= sizeof(BlockQ2_K);
  int64_t blocks = cols / kQ8Block;
  for (int64_t unit = 0; blocks > 0; ++unit) {
    const int count = static_cast<int>(blocks < layout.unit_blocks ? blocks : layout.unit_blocks);
    for (int row = 0; row < rows; ++row) {
      const auto* row_blocks = reinterpret_cast<const Block*>(source + row * row_bytes);
      if constexpr (kSuper) {
        write_super_unit(layout, row_blocks[unit], {target, row});
      } else {
        write_plain_unit(layout, row_blocks + unit * layout.unit_blocks, count, {target, row});
      }
    }
    target += head_bytes(layout) + count * block_bytes(layout);
    blocks -= count;
  }
}

}  // namespace

int64_t packed_group_bytes(Format format, int64_t cols) {
  const PackedLayout layout = packed_layout(format);
  if (layout.bits == 0) return 0;
  const int64_t blocks = cols / kQ8Block;
  const int64_t units = (blocks + layout.unit_blocks - 1) / layout.unit_blocks;
  return units * head_bytes(layout) + blocks * block_bytes(layout);
}

void pack_rows(Format format, const uint8_t* source, int64_t row_bytes, int rows, int64_t cols,
               uint8_t* target) {
  std::memset(target, 0, static_cast<size_t>(packed_group_bytes(format, cols)));
  const auto pack = [&]<typename Block>() {
    pack_group<Block>(packed_layout(format), source, row_bytes, rows, cols, target);
  };
  switch (format) {
    case Format::kQ4_0:
      return pack.template operator()<BlockQ4_0>();
    case Format::kQ4_1:
      return pack.template operator()<BlockQ4_1>();
    case Format::kQ5_0:
      return pack.template operator()<BlockQ5_0>();
    case Format::kQ5_1:
      return pack.template operator()<BlockQ5_1>();
    case Format::kQ8_0:
      return pack.template operator()<BlockQ8_0>();
    case Format::kIQ4_NL:
      return pack.template operator()<BlockIQ4_NL>();
    case Format::kQ2_K:
      return pack.template operator()<BlockQ2_K>();
    case Format::kQ3_K:
      return pack.template operator()<BlockQ3_K>();
    case Format::kQ4_K:
      return pack.template operator()<BlockQ4_K>();
    case Format::kQ5_K:
      return pack.template operator()<BlockQ5_K>();
    case Format::kQ6_K:
      return pack.template operator()<BlockQ6_K>();
    case Format::kIQ4_XS:
      return pack.template operator()<BlockIQ4_XS>();
    default:
      return;
  }
}

}  // namespace zhiyin::ref
