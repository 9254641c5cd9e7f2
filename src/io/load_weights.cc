#include "io/load_weights.h"

namespace zhiyin {

Weights load_weights(Context& context, const ModelFiles& files) {
  files.require_weights();
  std::vector<Weight> weights;
  for (const TensorEntry& tensor : files.tensors) {
    if (!tensor.format || tensor.shape.empty()) continue;
    const int64_t cols = tensor.shape.back();
    const int64_t rows = cols == 0 ? 0 : tensor.element_count() / cols;
    weights.emplace_back(tensor.name, *tensor.format, rows, cols, tensor.data, tensor.file);
  }
  return Weights(context, files.path, std::move(weights));
}

}  // namespace zhiyin
