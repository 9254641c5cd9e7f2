// Conversions and the decoding of stored rows: the same bits from every instruction set.
#include <bit>
#include <cstring>

#include "kernels/every_table.h"
#include "quant/formats.h"

namespace zhiyin::testing {
namespace {

using ConvertTest = EveryTable;

TEST_P(ConvertTest, EveryHalfAndBfloat16) {
  std::vector<uint16_t> all(1 << 16);
  for (size_t i = 0; i < all.size(); ++i) all[i] = static_cast<uint16_t>(i);
  std::vector<float> wide(all.size());
  const auto n = static_cast<int64_t>(all.size());
  const auto check = [&](auto to_float, auto to_float_ref, auto from_float) {
    to_float(all.data(), wide.data(), n);
    std::vector<uint16_t> back(all.size());
    from_float(wide.data(), back.data(), n);
    for (size_t i = 0; i < all.size(); ++i) {
      const float expected = to_float_ref(all[i]);
      if (std::isnan(expected)) {
        ASSERT_TRUE(std::isnan(wide[i]) && std::isnan(to_float_ref(back[i]))) << i;
      } else {
        ASSERT_EQ(std::bit_cast<uint32_t>(wide[i]), std::bit_cast<uint32_t>(expected)) << i;
        ASSERT_EQ(back[i], all[i]);
      }
    }
  };
  check(table().f16_to_f32, half_to_float, table().f32_to_f16);
  check(table().bf16_to_f32, bfloat16_to_float, table().f32_to_bf16);
}

TEST_P(ConvertTest, RoundsToNearestEven) {
  // All exponents, with mantissas at and around the ties of both formats.
  std::vector<float> x;
  for (uint32_t exponent = 0; exponent < 512; ++exponent) {
    for (const uint32_t tie : {0x1000u, 0x3000u, 0x8000u, 0x18000u, 0x7fffffu}) {
      for (const uint32_t off : {0u, 1u, ~0u}) {
        x.push_back(std::bit_cast<float>((exponent << 23) | ((tie + off) & 0x7fffff)));
      }
    }
  }
  const auto n = static_cast<int64_t>(x.size());
  std::vector<uint16_t> y(x.size());
  table().f32_to_f16(x.data(), y.data(), n);
  for (size_t i = 0; i < x.size(); ++i) {
    if (!std::isnan(x[i])) {
      ASSERT_EQ(y[i], float_to_half(x[i])) << x[i];
    }
  }
  table().f32_to_bf16(x.data(), y.data(), n);
  for (size_t i = 0; i < x.size(); ++i) ASSERT_EQ(y[i], float_to_bfloat16(x[i])) << x[i];
}

TEST_P(ConvertTest, WritesNoFurtherThanItsEnd) {
  for (const int64_t n : kOddLengths) {
    const auto x = random_floats(n, 1);
    Guarded<uint16_t> half(n), brain(n);
    Guarded<float> wide(n);
    table().f32_to_f16(x.data(), half.data(), n);
    table().f32_to_bf16(x.data(), brain.data(), n);
    for (int64_t i = 0; i < n; ++i) {
      ASSERT_EQ(half[i], float_to_half(x[i]));
      ASSERT_EQ(brain[i], float_to_bfloat16(x[i]));
    }
    table().f16_to_f32(half.data(), wide.data(), n);
    for (int64_t i = 0; i < n; ++i) ASSERT_EQ(wide[i], half_to_float(half[i]));
    table().bf16_to_f32(brain.data(), wide.data(), n);
    for (int64_t i = 0; i < n; ++i) ASSERT_EQ(wide[i], bfloat16_to_float(brain[i]));
    ASSERT_TRUE(half.intact() && brain.intact() && wide.intact());
  }
}

// Random bytes are valid blocks once their scales are finite, so packed noise covers all codes.
TEST_P(ConvertTest, UnpacksAsTheFormatDefines) {
  for (const FormatInfo& info : all_formats()) {
    for (const int64_t blocks : {1, 2, 3, 5}) {
      const int64_t n = blocks * info.block;
      // One float beside the others stretches a block's scale and so its codes.
      auto x = random_floats(n, 2 + static_cast<uint64_t>(blocks));
      x[0] = 3;
      // Two bytes off every larger alignment, as in a file.
      std::vector<uint8_t> bytes(static_cast<size_t>(blocks * info.block_bytes) + 2);
      info.pack(x.data(), bytes.data() + 2, n, nullptr);
      Guarded<float> expected(n), y(n);
      info.unpack(bytes.data() + 2, expected.data(), n);
      table().unpack(info.format, bytes.data() + 2, y.data(), n);
      ASSERT_TRUE(y.intact());
      for (int64_t i = 0; i < n; ++i) ASSERT_EQ(y[i], expected[i]) << info.name << " " << i;
    }
  }
}

ZHIYIN_EVERY_TABLE(ConvertTest);

}  // namespace
}  // namespace zhiyin::testing
