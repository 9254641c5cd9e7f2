// The named mixes of llama.cpp, such as Q4_K_M: which format each tensor of a model gets, so that
// the parts that suffer most from rounding keep more bits. Follows llama.cpp's llama-quant.cpp.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "quant/formats.h"

namespace zhiyin {

enum class Mix : uint8_t {
  kF32,
  kF16,
  kBF16,
  kQ8_0,
  kQ4_0,
  kQ4_1,
  kQ5_0,
  kQ5_1,
  kQ2_K,
  kQ3_K_S,
  kQ3_K_M,
  kQ3_K_L,
  kQ4_K_S,
  kQ4_K_M,
  kQ5_K_S,
  kQ5_K_M,
  kQ6_K,
  kIQ4_NL,
  kIQ4_XS,
  kQ2_K_S,
};
inline constexpr int kMixCount = 20;

struct MixInfo {
  Mix mix;
  const char* name;    // as users and file names write it: "Q4_K_M"
  uint32_t file_type;  // general.file_type of a GGUF
  Format format;       // what most tensors get
};

// All rows, in the order of the enum.
std::span<const MixInfo> all_mixes();
const MixInfo& mix_info(Mix mix);
// nullptr when unknown. Case-insensitive; takes llama.cpp's short names (Q3_K, Q4_K, Q5_K) too.
const MixInfo* find_mix(std::string_view name);
const MixInfo* find_mix(uint32_t file_type);

// For a mix of llama.cpp whose formats zhiyin cannot write (IQ3_M, TQ1_0): the one that comes
// nearest in size. nullptr for any other name.
const MixInfo* mix_instead_of(std::string_view name);

struct MixTensor {
  std::string_view name;  // as in a GGUF: "blk.0.attn_v.weight"
  int64_t cols = 0;       // elements of a row
  int dims = 0;           // dimensions; experts have 3
};

struct MixModel {
  int layers = 0;
  int heads = 0;
  int kv_heads = 0;
  int experts = 0;              // of a layer; 0 in a dense model
  bool has_importance = false;  // an importance matrix guides the encoders
};

// The format of each tensor, in the order given; F32 for those that are kept as they are (norms,
// biases, the gates of experts, positions). Where a row is no multiple of the wanted format's
// block, the nearest format of smaller blocks takes its place. A model without output.weight uses
// its token embedding as the head, so that it gets the head's format.
std::vector<Format> choose_mix(Mix mix, std::span<const MixTensor> tensors, const MixModel& model);

}  // namespace zhiyin
