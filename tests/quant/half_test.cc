#include "quant/half.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace zhiyin {
namespace {

// The definition: sign, exponent of five bits with bias 15, mantissa of ten.
double half_value(uint16_t half) {
  const int exponent = (half >> 10) & 31, mantissa = half & 1023;
  const double sign = half & 0x8000 ? -1 : 1;
  if (exponent == 31) return mantissa == 0 ? sign * INFINITY : NAN;
  if (exponent == 0) return sign * std::ldexp(mantissa, -24);
  return sign * std::ldexp(1024 + mantissa, exponent - 25);
}

TEST(Half, EveryValueIsReadAndWrittenBack) {
  for (uint32_t bits = 0; bits <= 0xFFFF; ++bits) {
    const auto half = static_cast<uint16_t>(bits);
    const float value = half_to_float(half);
    if (std::isnan(half_value(half))) {
      EXPECT_TRUE(std::isnan(value)) << bits;
      EXPECT_EQ(float_to_half(value), 0x7E00 | (half & 0x8000)) << bits;
    } else {
      EXPECT_EQ(value, half_value(half)) << bits;
      EXPECT_EQ(std::signbit(value), (half & 0x8000) != 0) << bits;
      EXPECT_EQ(float_to_half(value), half) << bits;
    }
  }
}

TEST(Half, RoundsToNearestAndTiesToEven) {
  for (uint32_t bits = 0; bits < 0x7BFF; ++bits) {
    const auto low = static_cast<uint16_t>(bits);
    const auto high = static_cast<uint16_t>(bits + 1);
    const float middle = (half_to_float(low) + half_to_float(high)) / 2;
    EXPECT_EQ(float_to_half(middle), low % 2 == 0 ? low : high) << bits;
    EXPECT_EQ(float_to_half(std::nextafter(middle, 0.0f)), low) << bits;
    EXPECT_EQ(float_to_half(std::nextafter(middle, INFINITY)), high) << bits;
  }
  EXPECT_EQ(float_to_half(65519.99f), 0x7BFF);
  EXPECT_EQ(float_to_half(65520.0f), 0x7C00);
  EXPECT_EQ(float_to_half(-INFINITY), 0xFC00);
  EXPECT_EQ(float_to_half(1e-45f), 0);
}

TEST(Bfloat16, RoundsToNearestAndTiesToEven) {
  for (uint32_t bits = 0; bits < 0x7F7F; ++bits) {
    const auto low = static_cast<uint16_t>(bits);
    const auto high = static_cast<uint16_t>(bits + 1);
    const float middle = std::bit_cast<float>(bits << 16 | 0x8000u);
    EXPECT_EQ(float_to_bfloat16(bfloat16_to_float(low)), low);
    EXPECT_EQ(float_to_bfloat16(middle), low % 2 == 0 ? low : high) << bits;
    EXPECT_EQ(float_to_bfloat16(std::bit_cast<float>(bits << 16 | 0x7FFFu)), low) << bits;
    EXPECT_EQ(float_to_bfloat16(std::bit_cast<float>(bits << 16 | 0x8001u)), high) << bits;
  }
  EXPECT_EQ(float_to_bfloat16(std::numeric_limits<float>::max()), 0x7F80);
  EXPECT_EQ(float_to_bfloat16(-INFINITY), 0xFF80);
  // A NaN whose payload lies in the lower half must not become infinity.
  EXPECT_EQ(float_to_bfloat16(std::bit_cast<float>(0x7F800001u)), 0x7FC0);
}

}  // namespace
}  // namespace zhiyin
