#include "quant/codes.h"

#include <algorithm>

#include "base/error.h"
#include "quant/blocks.h"
#include "quant/half.h"

namespace zhiyin {
namespace {

// Bits of a code inside a block: read into `code`, or written from it.
template <bool kWrite, typename Byte>
void move_bits(Byte& byte, int shift, int mask, int16_t& code, int code_shift) {
  if constexpr (kWrite) {
    byte =
        static_cast<uint8_t>((byte & ~(mask << shift)) | (((code >> code_shift) & mask) << shift));
  } else {
    code = static_cast<int16_t>(code | ((byte >> shift) & mask) << code_shift);
  }
}

template <bool kWrite, typename Block>
void move_plain(Block& block, int16_t* codes) {
  for (int j = 0; j < kBlock; ++j) {
    if constexpr (!kWrite) codes[j] = 0;
    move_bits<kWrite>(block.qs[j % 16], 4 * (j / 16), 15, codes[j], 0);
    if constexpr (requires { block.qh; }) {
      move_bits<kWrite>(block.qh[j / 8], j % 8, 1, codes[j], 4);
    }
  }
}

template <bool kWrite, typename Block>
void move_affine(Block& block, int16_t* codes) {
  for (int i = 0; i < kSuperBlock; ++i) {
    if constexpr (!kWrite) codes[i] = 0;
    move_bits<kWrite>(block.qs[32 * (i / 64) + i % 32], 4 * (i / 32 % 2), 15, codes[i], 0);
    if constexpr (requires { block.qh; }) {
      move_bits<kWrite>(block.qh[i % 32], i / 32, 1, codes[i], 4);
    }
  }
}

template <bool kWrite, typename Block>
void move_q6(Block& block, int16_t* codes) {
  for (int i = 0; i < kSuperBlock; ++i) {
    const int half = i / 128, in_half = i % 128;
    if constexpr (!kWrite) codes[i] = 0;
    move_bits<kWrite>(block.ql[64 * half + in_half % 64], 4 * (in_half / 64), 15, codes[i], 0);
    move_bits<kWrite>(block.qh[32 * half + in_half % 32], 2 * (in_half / 32), 3, codes[i], 4);
  }
}

template <bool kWrite, typename Block>
void move_q8(Block& block, int16_t* codes) {
  for (int j = 0; j < kBlock; ++j) {
    if constexpr (kWrite) {
      block.qs[j] = static_cast<int8_t>(codes[j]);
    } else {
      codes[j] = block.qs[j];
    }
  }
}

// Calls visit(block, offset of its first element) for every block of a row.
template <typename Block, typename Visit>
void each_block(const void* packed, int64_t n, int elements, Visit visit) {
  const auto* block = static_cast<const Block*>(packed);
  for (int64_t at = 0; at < n; at += elements, ++block) visit(*block, at);
}
template <typename Block, typename Visit>
void each_block(void* packed, int64_t n, int elements, Visit visit) {
  auto* block = static_cast<Block*>(packed);
  for (int64_t at = 0; at < n; at += elements, ++block) visit(*block, at);
}

template <typename Block>
void read_plain(const void* packed, int64_t n, RowCodes& row) {
  each_block<Block>(packed, n, kBlock, [&](const Block& block, int64_t at) {
    if constexpr (sizeof(block.qs) == kBlock) {
      move_q8<false>(block, row.codes.data() + at);
    } else {
      move_plain<false>(block, row.codes.data() + at);
    }
    const float d = half_to_float(block.d);
    for (int j = 0; j < kBlock; ++j) row.steps[static_cast<size_t>(at + j)] = d;
  });
}

template <typename Block>
void read_affine(const void* packed, int64_t n, RowCodes& row) {
  each_block<Block>(packed, n, kSuperBlock, [&](const Block& block, int64_t at) {
    move_affine<false>(block, row.codes.data() + at);
    uint8_t scales[8], mins[8];
    unpack_scales_q4(block.scales, scales, mins);
    const float d = half_to_float(block.d);
    for (int i = 0; i < kSuperBlock; ++i) {
      row.steps[static_cast<size_t>(at + i)] = d * static_cast<float>(scales[i / 32]);
    }
  });
}

void read_q6(const void* packed, int64_t n, RowCodes& row) {
  each_block<BlockQ6_K>(packed, n, kSuperBlock, [&](const BlockQ6_K& block, int64_t at) {
    move_q6<false>(block, row.codes.data() + at);
    const float d = half_to_float(block.d);
    for (int i = 0; i < kSuperBlock; ++i) {
      row.steps[static_cast<size_t>(at + i)] = d * static_cast<float>(block.scales[i / 16]);
    }
  });
}

template <typename Block>
void write_row(const RowCodes& row, void* packed, int64_t n, int elements,
               void (*move)(Block&, int16_t*)) {
  each_block<Block>(packed, n, elements, [&](Block& block, int64_t at) {
    int16_t codes[kSuperBlock];
    std::copy_n(row.codes.data() + at, elements, codes);
    move(block, codes);
  });
}

[[noreturn]] void no_even_codes(Format format) {
  fail(ErrorCode::kUnsupported, "codes: the values of ", format_info(format).name,
       " are not evenly spaced");
}

}  // namespace

bool has_even_codes(Format format) {
  switch (format) {
    case Format::kQ4_0:
    case Format::kQ4_1:
    case Format::kQ5_0:
    case Format::kQ5_1:
    case Format::kQ8_0:
    case Format::kQ4_K:
    case Format::kQ5_K:
    case Format::kQ6_K:
      return true;
    default:
      return false;
  }
}

void read_codes(Format format, const void* packed, int64_t n, RowCodes& row) {
  row.codes.resize(static_cast<size_t>(n));
  row.steps.resize(static_cast<size_t>(n));
  row.least = 0;
  switch (format) {
    case Format::kQ4_0:
      row.most = 15;
      return read_plain<BlockQ4_0>(packed, n, row);
    case Format::kQ4_1:
      row.most = 15;
      return read_plain<BlockQ4_1>(packed, n, row);
    case Format::kQ5_0:
      row.most = 31;
      return read_plain<BlockQ5_0>(packed, n, row);
    case Format::kQ5_1:
      row.most = 31;
      return read_plain<BlockQ5_1>(packed, n, row);
    case Format::kQ8_0:
      row.least = -127;
      row.most = 127;
      return read_plain<BlockQ8_0>(packed, n, row);
    case Format::kQ4_K:
      row.most = 15;
      return read_affine<BlockQ4_K>(packed, n, row);
    case Format::kQ5_K:
      row.most = 31;
      return read_affine<BlockQ5_K>(packed, n, row);
    case Format::kQ6_K:
      row.most = 63;
      return read_q6(packed, n, row);
    default:
      no_even_codes(format);
  }
}

void write_codes(Format format, const RowCodes& row, void* packed, int64_t n) {
  switch (format) {
    case Format::kQ4_0:
      return write_row<BlockQ4_0>(row, packed, n, kBlock, move_plain<true, BlockQ4_0>);
    case Format::kQ4_1:
      return write_row<BlockQ4_1>(row, packed, n, kBlock, move_plain<true, BlockQ4_1>);
    case Format::kQ5_0:
      return write_row<BlockQ5_0>(row, packed, n, kBlock, move_plain<true, BlockQ5_0>);
    case Format::kQ5_1:
      return write_row<BlockQ5_1>(row, packed, n, kBlock, move_plain<true, BlockQ5_1>);
    case Format::kQ8_0:
      return write_row<BlockQ8_0>(row, packed, n, kBlock, move_q8<true, BlockQ8_0>);
    case Format::kQ4_K:
      return write_row<BlockQ4_K>(row, packed, n, kSuperBlock, move_affine<true, BlockQ4_K>);
    case Format::kQ5_K:
      return write_row<BlockQ5_K>(row, packed, n, kSuperBlock, move_affine<true, BlockQ5_K>);
    case Format::kQ6_K:
      return write_row<BlockQ6_K>(row, packed, n, kSuperBlock, move_q6<true, BlockQ6_K>);
    default:
      no_even_codes(format);
  }
}

}  // namespace zhiyin
