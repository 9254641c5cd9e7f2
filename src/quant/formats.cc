#include "quant/formats.h"

#include <limits>

#include "base/error.h"
#include "quant/blocks.h"
#include "quant/names.h"
#include "quant/rows.h"

namespace zhiyin {
namespace {

constexpr FormatInfo kFormats[kFormatCount] = {
    // format, name, ggml type, block, bytes, unpack, pack, error bound
    {Format::kF32, "F32", 0, 1, 4, unpack_f32, pack_f32, 0.0f},
    {Format::kF16, "F16", 1, 1, 2, unpack_f16, pack_f16, 0.0005f},
    {Format::kBF16, "BF16", 30, 1, 2, unpack_bf16, pack_bf16, 0.004f},
    {Format::kQ4_0, "Q4_0", 2, kBlock, sizeof(BlockQ4_0), unpack_q4_0, pack_q4_0, 0.127f},
    {Format::kQ4_1, "Q4_1", 3, kBlock, sizeof(BlockQ4_1), unpack_q4_1, pack_q4_1, 0.07f},
    {Format::kQ5_0, "Q5_0", 6, kBlock, sizeof(BlockQ5_0), unpack_q5_0, pack_q5_0, 0.064f},
    {Format::kQ5_1, "Q5_1", 7, kBlock, sizeof(BlockQ5_1), unpack_q5_1, pack_q5_1, 0.035f},
    {Format::kQ8_0, "Q8_0", 8, kBlock, sizeof(BlockQ8_0), unpack_q8_0, pack_q8_0, 0.0045f},
    {Format::kQ2_K, "Q2_K", 10, kSuperBlock, sizeof(BlockQ2_K), unpack_q2_k, pack_q2_k, 0.5f},
    {Format::kQ3_K, "Q3_K", 11, kSuperBlock, sizeof(BlockQ3_K), unpack_q3_k, pack_q3_k, 0.3f},
    {Format::kQ4_K, "Q4_K", 12, kSuperBlock, sizeof(BlockQ4_K), unpack_q4_k, pack_q4_k, 0.13f},
    {Format::kQ5_K, "Q5_K", 13, kSuperBlock, sizeof(BlockQ5_K), unpack_q5_k, pack_q5_k, 0.075f},
    {Format::kQ6_K, "Q6_K", 14, kSuperBlock, sizeof(BlockQ6_K), unpack_q6_k, pack_q6_k, 0.03f},
    {Format::kIQ4_NL, "IQ4_NL", 20, kBlock, sizeof(BlockIQ4_NL), unpack_iq4_nl, pack_iq4_nl, 0.15f},
    {Format::kIQ4_XS, "IQ4_XS", 23, kSuperBlock, sizeof(BlockIQ4_XS), unpack_iq4_xs, pack_iq4_xs,
     0.15f},
};

constexpr bool rows_follow_the_enum() {
  for (int i = 0; i < kFormatCount; ++i) {
    if (kFormats[i].format != static_cast<Format>(i)) return false;
  }
  return true;
}
static_assert(rows_follow_the_enum());

}  // namespace

const FormatInfo& format_info(Format format) { return kFormats[static_cast<size_t>(format)]; }

std::span<const FormatInfo> all_formats() { return kFormats; }

const FormatInfo* find_format(uint32_t ggml_type) {
  for (const FormatInfo& info : kFormats) {
    if (info.ggml_type == ggml_type) return &info;
  }
  return nullptr;
}

const FormatInfo* find_format(std::string_view name) {
  for (const FormatInfo& info : kFormats) {
    if (same_name(info.name, name)) return &info;
  }
  return nullptr;
}

int64_t row_bytes(Format format, int64_t cols) {
  const FormatInfo& info = format_info(format);
  check(cols >= 0 && cols % info.block == 0, ErrorCode::kUnsupported, info.name, ": a row of ",
        cols, " elements is no multiple of the block of ", info.block,
        "; choose another format for this tensor");
  const int64_t blocks = cols / info.block;
  check(blocks <= std::numeric_limits<int64_t>::max() / info.block_bytes, ErrorCode::kUnsupported,
        info.name, ": a row of ", cols, " elements is longer than any file");
  return blocks * info.block_bytes;
}

}  // namespace zhiyin
