// GGUF tensor names <-> Hugging Face names, which are the canon inside zhiyin, and the two cases
// in which the values are laid out differently.
//
// q and k of llama: GGUF keeps the rows of a head in adjacent pairs, Hugging Face in halves. On
// reading no row is moved: RopeConfig::adjacent says that pairs are adjacent. On writing a GGUF
// from Hugging Face weights, and when LoRA factors cross between the two, rows are moved.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace zhiyin {

// `architecture` is that of the GGUF ("llama", "qwen2"). Names may lack .weight/.bias, as module
// paths do. A name without an entry is returned as it is ("rope_freqs.weight").
std::string hf_tensor_name(std::string_view architecture, std::string_view gguf_name);

// nullopt when the architecture has no such tensor.
std::optional<std::string> gguf_tensor_name(std::string_view architecture,
                                            std::string_view hf_name);

// False when no table knows the architecture.
bool has_tensor_names(std::string_view architecture);

// How values in a GGUF differ from those of the same tensor under its Hugging Face name.
enum class GgufLayout {
  kSame,
  kRopePairs,   // row r of the GGUF is row rope_pair_source(r, head_dim); weights and biases
  kTransposed,  // Conv1D of gpt2: [in, out] in Hugging Face, [out, in] in GGUF
};
GgufLayout gguf_layout(std::string_view architecture, std::string_view hf_name);

// The Hugging Face row (half-split) that is row `row` of the GGUF (adjacent pairs):
// h * d + 2 i + j  <-  h * d + j d/2 + i, for every head h of d rows.
inline int64_t rope_pair_source(int64_t row, int64_t head_dim) {
  const int64_t in_head = row % head_dim;
  return row - in_head + in_head % 2 * (head_dim / 2) + in_head / 2;
}

// values [rows, cols] with the rows moved from halves to adjacent pairs, and back.
std::vector<float> to_rope_pairs(const std::vector<float>& values, int64_t cols, int64_t head_dim);
std::vector<float> from_rope_pairs(const std::vector<float>& values, int64_t cols,
                                   int64_t head_dim);

}  // namespace zhiyin
