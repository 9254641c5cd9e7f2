// The number formats of weights, one row each: block layout, names, pack and unpack.
//
// A row of a matrix is stored as cols / block blocks of block_bytes bytes each. Layouts and
// reference encoders follow ggml; docs/formats/quantised-blocks.md describes every byte.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "quant/half.h"

namespace zhiyin {

enum class Format : uint8_t {
  kF32,
  kF16,
  kBF16,
  kQ4_0,
  kQ4_1,
  kQ5_0,
  kQ5_1,
  kQ8_0,
  kQ2_K,
  kQ3_K,
  kQ4_K,
  kQ5_K,
  kQ6_K,
  kIQ4_NL,
  kIQ4_XS,
};
inline constexpr int kFormatCount = 15;

struct FormatInfo {
  Format format;
  const char* name;    // as ggml and users write it: "Q4_K"
  uint32_t ggml_type;  // number in a GGUF tensor info
  int block;           // elements a block; cols must be a multiple
  int block_bytes;
  // One row of n elements, n a multiple of block. Bit-exact with ggml.
  void (*unpack)(const void* source, float* target, int64_t n);
  // Bytes equal to ggml_quantize_chunk's. importance: n weights of the squared error, or nullptr.
  // Pure and without allocation, as unpack: callers spread rows over threads.
  void (*pack)(const float* source, void* target, int64_t n, const float* importance);
  // Largest |x - unpack(pack(x))| to expect of weights, as a share of the block's largest |x|; used
  // by tests and by the preview of `quantize`. Blocks of very small numbers (largest below 0.01 or
  // so) do worse, because their scale is then no normal half.
  float error_bound;
};

const FormatInfo& format_info(Format format);
// All rows, in the order of the enum.
std::span<const FormatInfo> all_formats();
// nullptr when unknown.
const FormatInfo* find_format(uint32_t ggml_type);
const FormatInfo* find_format(std::string_view name);  // case-insensitive

// Bytes of a row of cols elements. Throws kUnsupported when cols is no multiple of the block.
int64_t row_bytes(Format format, int64_t cols);

}  // namespace zhiyin
