// A tensor as it lies in a mapped file: what every reader of model files delivers.
#pragma once

#include <cstdint>
#include <functional>
#include <numeric>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/mmap_file.h"
#include "quant/formats.h"

namespace zhiyin {

struct TensorEntry {
  std::string name;
  // As the file spells its type: "Q4_K", "BF16", "I64".
  std::string type;
  // Absent for types that hold no weights here (I64, IQ2_XXS): listed, but not loadable.
  std::optional<Format> format;
  std::vector<int64_t> shape;  // row-major, rows first, as PyTorch
  // Points into `file`, which keeps it mapped. May be unaligned in safetensors files.
  const uint8_t* data = nullptr;
  uint64_t bytes = 0;
  MmapFile file;

  int64_t element_count() const {
    return std::accumulate(shape.begin(), shape.end(), int64_t{1}, std::multiplies<>());
  }
  // Throws kUnsupported, naming the tensor and its type.
  Format required_format() const {
    check(format.has_value(), ErrorCode::kUnsupported, file.path(), ": tensor ", name, " has type ",
          type, ", which zhiyin cannot compute with");
    return *format;
  }
};

// nullptr when there is no tensor of that name.
inline const TensorEntry* find_tensor(const std::vector<TensorEntry>& tensors,
                                      std::string_view name) {
  for (const TensorEntry& tensor : tensors) {
    if (tensor.name == name) return &tensor;
  }
  return nullptr;
}

// The elements of an F32, F16 or BF16 tensor (any format with `unpack`) as floats.
std::vector<float> to_floats(const TensorEntry& tensor);

}  // namespace zhiyin
