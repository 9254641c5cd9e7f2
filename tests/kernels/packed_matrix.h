// Matrices of random blocks in the packed form, for the tests of the products with them.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <memory>
#include <new>
#include <random>
#include <vector>

#include "every_table.h"
#include "kernels/kernels.h"
#include "quant/formats.h"

namespace zhiyin::testing {

inline constexpr Format kPackedFormats[] = {
    Format::kQ4_0, Format::kQ4_1, Format::kQ5_0, Format::kQ5_1, Format::kQ8_0, Format::kIQ4_NL,
    Format::kQ2_K, Format::kQ3_K, Format::kQ4_K, Format::kQ5_K, Format::kQ6_K, Format::kIQ4_XS};

// 64-byte aligned, as the packed form demands.
struct AlignedBytes {
  struct Free {
    void operator()(uint8_t* p) const { ::operator delete(p, std::align_val_t{64}); }
  };
  explicit AlignedBytes(int64_t size)
      : data(static_cast<uint8_t*>(
            ::operator new(static_cast<size_t>(size), std::align_val_t{64}))) {}
  std::unique_ptr<uint8_t, Free> data;
};

// Offsets of the halves in a block of the format; -1 for none.
struct HalfOffsets {
  int first, second;
};
inline HalfOffsets half_offsets(Format format) {
  switch (format) {
    case Format::kQ4_1:
    case Format::kQ5_1:
    case Format::kQ4_K:
    case Format::kQ5_K:
      return {0, 2};
    case Format::kQ2_K:
      return {80, 82};
    case Format::kQ3_K:
      return {108, -1};
    case Format::kQ6_K:
      return {208, -1};
    default:
      return {0, -1};
  }
}

enum class Fill { kRandom, kZeros, kOnes };

// A matrix of blocks whose codes and sub-scales take every bit pattern.
struct Matrix {
  Format format;
  int64_t rows, cols, row_bytes;
  std::vector<uint8_t> blocks;

  Matrix(Format format_, int64_t rows_, int64_t cols_, Fill fill, std::mt19937& random)
      : format(format_), rows(rows_), cols(cols_), row_bytes(zhiyin::row_bytes(format_, cols_)) {
    blocks.resize(static_cast<size_t>(rows * row_bytes), fill == Fill::kOnes ? 0xFF : 0);
    if (fill == Fill::kRandom) {
      for (uint8_t& byte : blocks) byte = static_cast<uint8_t>(random());
    }
    std::uniform_real_distribution<float> value(-2.0f, 2.0f);
    const FormatInfo& info = format_info(format);
    const auto [first, second] = half_offsets(format);
    for (size_t at = 0; at < blocks.size(); at += static_cast<size_t>(info.block_bytes)) {
      for (const int offset : {first, second}) {
        if (offset < 0) continue;
        const uint16_t half = float_to_half(value(random));
        std::memcpy(&blocks[at + static_cast<size_t>(offset)], &half, sizeof(half));
      }
    }
  }

  const uint8_t* row(int64_t r) const { return blocks.data() + r * row_bytes; }

  std::vector<float> values() const {
    std::vector<float> out(static_cast<size_t>(rows * cols));
    for (int64_t r = 0; r < rows; ++r) {
      format_info(format).unpack(row(r), out.data() + r * cols, cols);
    }
    return out;
  }
};

// Owns the packed form.
struct Packed {
  PackedWeight weight;
  AlignedBytes bytes;

  Packed(const KernelTable& table, const Matrix& m)
      : weight{nullptr, m.format, m.rows, m.cols, table.packed_group_bytes(m.format, m.cols)},
        bytes((m.rows + kPackRows - 1) / kPackRows * weight.group_bytes) {
    weight.data = bytes.data.get();
    for (int64_t row = 0; row < m.rows; row += kPackRows) {
      table.pack_rows(m.format, m.row(row), m.row_bytes,
                      static_cast<int>(std::min<int64_t>(kPackRows, m.rows - row)), m.cols,
                      bytes.data.get() + row / kPackRows * weight.group_bytes);
    }
  }
};

inline std::vector<float> random_values(int64_t count, std::mt19937& random) {
  std::normal_distribution<float> normal;
  std::vector<float> out(static_cast<size_t>(count));
  for (float& value : out) value = normal(random);
  return out;
}

inline constexpr float kUntouched = 12345.0f;

struct Near {
  double value, tolerance;
};

// Every element of y[tokens][stride], which was kUntouched before rows [begin, end) were written:
// expected(token, row) gives a Near.
template <typename Expected>
void expect_rows(const std::vector<float>& y, int64_t stride, int64_t begin, int64_t end,
                 const Expected& expected) {
  const int64_t tokens = static_cast<int64_t>(y.size()) / stride;
  for (int64_t t = 0; t < tokens; ++t) {
    for (int64_t r = 0; r < stride; ++r) {
      const float got = y[static_cast<size_t>(t * stride + r)];
      if (r < begin || r >= end) {
        ASSERT_EQ(got, kUntouched) << "token " << t << ", row " << r;
        continue;
      }
      const Near wanted = expected(t, r);
      ASSERT_NEAR(got, wanted.value, wanted.tolerance) << "token " << t << ", row " << r;
    }
  }
}

}  // namespace zhiyin::testing
