// F32, F16, BF16: one number an element. Sources need no alignment: safetensors gives none.
#include <cstring>

#include "quant/half.h"
#include "quant/rows.h"

namespace zhiyin {
namespace {

uint16_t load16(const void* source, int64_t i) {
  uint16_t value;
  std::memcpy(&value, static_cast<const uint8_t*>(source) + 2 * i, sizeof value);
  return value;
}

void store16(void* target, int64_t i, uint16_t value) {
  std::memcpy(static_cast<uint8_t*>(target) + 2 * i, &value, sizeof value);
}

}  // namespace

void unpack_f32(const void* source, float* y, int64_t n) {
  std::memcpy(y, source, static_cast<size_t>(n) * sizeof(float));
}

void pack_f32(const float* x, void* target, int64_t n, const float*) {
  std::memcpy(target, x, static_cast<size_t>(n) * sizeof(float));
}

ZY_ROW_FUNCTION void unpack_f16(const void* source, float* __restrict y, int64_t n) {
  for (int64_t i = 0; i < n; ++i) y[i] = half_to_float(load16(source, i));
}

ZY_ROW_FUNCTION void pack_f16(const float* x, void* __restrict target, int64_t n, const float*) {
  for (int64_t i = 0; i < n; ++i) store16(target, i, float_to_half(x[i]));
}

ZY_ROW_FUNCTION void unpack_bf16(const void* source, float* __restrict y, int64_t n) {
  for (int64_t i = 0; i < n; ++i) y[i] = bfloat16_to_float(load16(source, i));
}

ZY_ROW_FUNCTION void pack_bf16(const float* x, void* __restrict target, int64_t n, const float*) {
  for (int64_t i = 0; i < n; ++i) store16(target, i, float_to_bfloat16(x[i]));
}

}  // namespace zhiyin
