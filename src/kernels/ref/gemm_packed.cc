#include <cstring>

#include "kernels/packed.h"
#include "kernels/ref/kernels_ref.h"
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

float load_half(const uint8_t* head, int piece, int row) {
  uint16_t half;
  std::memcpy(&half, head + 32 * piece + 2 * row, sizeof(half));
  return half_to_float(half);
}

// Pair j of six-bit numbers from the three vectors at `vectors`.
struct Pair {
  int a, b;
};
Pair load_pair(const uint8_t* vectors, int j, int row) {
  const int low = vectors[kPackRows * j + row];
  const int high = vectors[2 * kPackVector + kPackRows * (j % 4) + row] >> (4 * (j / 4));
  return {(low & 15) | (high & 3) << 4, low >> 4 | (high >> 2 & 3) << 4};
}

int load_six_bit_block(const uint8_t* head, int j, int row) {
  const int low = head[kPackVector + kPackRows * (j % 4) + row] >> (4 * (j / 4)) & 15;
  const int high = head[32 + kPackRows * (j % 2) + row] >> (2 * (j / 2)) & 3;
  return low | high << 4;
}

void read_head(const PackedLayout& layout, const uint8_t* head, int row, Head& out) {
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
int read_code(const PackedLayout& layout, const uint8_t* block, int col, int row) {
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

// The activations of one token.
struct Token {
  const int8_t* q;
  const float* scales;
};

float dot_row(const PackedGemmArgs& args, const uint8_t* group, int row, Token token) {
  const PackedLayout layout = packed_layout(args.w.format);
  float total = 0.0f;
  Head head;
  for (int64_t block = 0; block < args.w.cols / kQ8Block; ++block) {
    const int in_unit = static_cast<int>(block % layout.unit_blocks);
    if (in_unit == 0) {
      read_head(layout, group, row, head);
      group += head_bytes(layout);
    }
    for (int h = 0; h < 2; ++h) {
      int dot = 0, sum = 0;
      for (int i = 0; i < kHalfBlock; ++i) {
        const int x = token.q[block * kQ8Block + h * kHalfBlock + i];
        dot += x * (read_code(layout, group, h * kHalfBlock + i, row) - layout.offset);
        sum += x;
      }
      const int half = 2 * in_unit + h;
      total += token.scales[block] * (head.scale[half] * static_cast<float>(dot) +
                                      head.min[half] * static_cast<float>(sum));
    }
    group += block_bytes(layout);
  }
  return total;
}

}  // namespace

void gemm_packed(const PackedGemmArgs& args) {
  const int64_t blocks = args.w.cols / kQ8Block;
  for (int64_t row = args.row_begin; row < args.row_end; ++row) {
    const uint8_t* group = args.w.data + row / kPackRows * args.w.group_bytes;
    for (int64_t t = 0; t < args.tokens; ++t) {
      args.y[t * args.y_stride + row] =
          dot_row(args, group, static_cast<int>(row % kPackRows),
                  {args.q + t * args.w.cols, args.scales + t * blocks});
    }
  }
}

}  // namespace zhiyin::ref
