// IEEE half and bfloat16 without special instructions, rounding to nearest even. Branch-free, so
// that loops over them vectorise.
#pragma once

#include <bit>
#include <cstdint>

namespace zhiyin {

inline float half_to_float(uint16_t half) {
  const uint32_t sign = static_cast<uint32_t>(half & 0x8000) << 16;
  const uint32_t magnitude = half & 0x7FFFu;
  // Normal numbers keep their bits and get the wider exponent's bias; infinities and NaNs stay at
  // the top; a subnormal m * 2^-24 is what the mantissa m adds to 0.5.
  const uint32_t normal = (magnitude << 13) + ((127u - 15u) << 23);
  const uint32_t special = (magnitude << 13) | 0x7F800000u;
  const float subnormal = std::bit_cast<float>(0x3F000000u | magnitude) - 0.5f;
  const uint32_t bits = magnitude >= 0x7C00   ? special
                        : magnitude >= 0x0400 ? normal
                                              : std::bit_cast<uint32_t>(subnormal);
  return std::bit_cast<float>(bits | sign);
}

// Beyond 65519.99 infinity; every NaN becomes the quiet one.
inline uint16_t float_to_half(float value) {
  const uint32_t bits = std::bit_cast<uint32_t>(value);
  const uint32_t sign = (bits >> 16) & 0x8000u;
  const uint32_t magnitude = bits & 0x7FFFFFFFu;
  const uint32_t odd = (magnitude >> 13) & 1u;
  const uint32_t normal = (magnitude + 0xFFFu + odd - ((127u - 15u) << 23)) >> 13;
  // Below 2^-14 the addition itself rounds to a multiple of 2^-24.
  const uint32_t subnormal =
      std::bit_cast<uint32_t>(std::bit_cast<float>(magnitude) + 0.5f) - 0x3F000000u;
  const uint32_t half = magnitude > 0x7F800000u    ? 0x7E00u
                        : magnitude >= 0x477FF000u ? 0x7C00u
                        : magnitude >= 0x38800000u ? normal
                                                   : subnormal;
  return static_cast<uint16_t>(half | sign);
}

inline float bfloat16_to_float(uint16_t value) {
  return std::bit_cast<float>(static_cast<uint32_t>(value) << 16);
}

// NaNs keep their upper bits and become quiet.
inline uint16_t float_to_bfloat16(float value) {
  const uint32_t bits = std::bit_cast<uint32_t>(value);
  const uint32_t rounded = (bits + 0x7FFFu + ((bits >> 16) & 1u)) >> 16;
  const bool nan = (bits & 0x7FFFFFFFu) > 0x7F800000u;
  return static_cast<uint16_t>(nan ? (bits >> 16) | 64u : rounded);
}

}  // namespace zhiyin
