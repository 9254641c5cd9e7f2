// The weights of a model with an adapter merged, W + scale B A, read row by row in the order of
// rows that the target format wants. Nothing is held in memory but the adapter.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "io/model_files.h"
#include "io/tensor_names.h"
#include "kernels/kernels.h"
#include "nn/lora_adapter.h"

namespace zhiyin {

// One tensor of the merged model.
struct MergedTensor {
  const TensorEntry* tensor;  // of the base, Hugging Face name
  int64_t rows, cols;         // cols: what a quantised row is cut from
  const LoraFactors* factors = nullptr;
  bool moves_rows = false;  // between adjacent pairs and halves

  // Whether the bytes of the base are the merged tensor's.
  bool is_plain() const { return factors == nullptr && !moves_rows; }
};

class MergedModel {
 public:
  // `rope_pairs`: whether rows of q and k are wanted in adjacent pairs (GGUF of llama) or in halves
  // (Hugging Face). Throws kUnsupported where the adapter has a layer that the base lacks, or whose
  // factors are of another size. The base must outlive it; no adapter: nullptr.
  MergedModel(const ModelFiles& base, const LoraAdapter* adapter, bool rope_pairs);

  // Every tensor of the base but those that no model reads: the head of a model whose head is its
  // embedding, tables of rotations.
  const std::vector<MergedTensor>& tensors() const { return tensors_; }

  // Row `row` as floats [cols].
  void read_row(const KernelTable& kernels, const MergedTensor& tensor, int64_t row,
                float* out) const;

 private:
  void add_tensors(bool rope_pairs);
  void assign_factors();

  const ModelFiles& base_;
  LoraAdapter adapter_;
  std::vector<MergedTensor> tensors_;
};

}  // namespace zhiyin
