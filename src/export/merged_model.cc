#include "export/merged_model.h"

#include <algorithm>

#include "base/error.h"
#include "base/nearest.h"
#include "io/gguf_config.h"
#include "io/lora_file.h"

namespace zhiyin {
namespace {

// The row of halves that is row `row` of pairs, and the other way round.
int64_t half_source(int64_t row, int64_t head_dim) {
  const int64_t in_head = row % head_dim, half = head_dim / 2;
  return row - in_head + (in_head < half ? 2 * in_head : 2 * (in_head - half) + 1);
}

}  // namespace

MergedModel::MergedModel(const ModelFiles& base, const LoraAdapter* adapter, bool rope_pairs)
    : base_(base) {
  base.require_weights();
  if (adapter != nullptr) {
    adapter_ = *adapter;
    set_rope_pairs(adapter_, base.config->rope.adjacent, base.config->head_dim);
  }
  add_tensors(rope_pairs);
  assign_factors();
}

void MergedModel::add_tensors(bool rope_pairs) {
  const ModelConfig& config = *base_.config;
  const std::string architecture =
      base_.gguf ? base_.gguf->architecture() : gguf_architecture(config);
  for (const TensorEntry& tensor : base_.tensors) {
    const bool tied_head = config.tie_embeddings && tensor.name == "lm_head.weight";
    if (tied_head || tensor.name.ends_with(".rotary_emb.inv_freq")) continue;
    MergedTensor merged{&tensor, 1, 1};
    if (!tensor.shape.empty()) merged.cols = tensor.shape.back();
    merged.rows = merged.cols > 0 ? tensor.element_count() / merged.cols : 0;
    const bool rotated = gguf_layout(architecture, tensor.name) == GgufLayout::kRopePairs;
    merged.moves_rows = rotated && config.rope.adjacent != rope_pairs;
    if (merged.moves_rows && tensor.shape.size() == 1) std::swap(merged.rows, merged.cols);
    tensors_.push_back(merged);
  }
}

void MergedModel::assign_factors() {
  std::vector<std::string> paths;
  for (MergedTensor& merged : tensors_) {
    constexpr std::string_view kWeight = ".weight";
    std::string path = merged.tensor->name;
    if (!path.ends_with(kWeight)) continue;
    path.resize(path.size() - kWeight.size());
    paths.push_back(path);
    const auto found = adapter_.modules.find(path);
    if (found == adapter_.modules.end()) continue;
    merged.factors = &found->second;
    check(found->second.out == merged.rows && found->second.in == merged.cols,
          ErrorCode::kUnsupported, "the adapter's layer ", path, " is [", found->second.out, ", ",
          found->second.in, "], that of ", base_.path, " [", merged.rows, ", ", merged.cols,
          "]; the adapter was trained on another model");
  }
  for (const auto& [path, factors] : adapter_.modules) {
    check(std::ranges::find(paths, path) != paths.end(), ErrorCode::kUnsupported,
          "the adapter's layer ", path, " is not in ", base_.path, "; the nearest is ",
          nearest(path, paths));
  }
}

void MergedModel::read_row(const KernelTable& kernels, const MergedTensor& merged, int64_t row,
                           float* out) const {
  if (merged.moves_rows) {
    const int64_t head_dim = base_.config->head_dim;
    row =
        base_.config->rope.adjacent ? half_source(row, head_dim) : rope_pair_source(row, head_dim);
  }
  const Format format = merged.tensor->required_format();
  kernels.unpack(format, merged.tensor->data + row * row_bytes(format, merged.cols), out,
                 merged.cols);
  if (merged.factors == nullptr) return;
  // out += scale * b[row] . a
  const LoraFactors& f = *merged.factors;
  const float scale = adapter_.scale(f);
  for (int64_t k = 0; k < f.rank; ++k) {
    kernels.axpy(scale * f.b[static_cast<size_t>(row * f.rank + k)], f.a.data() + k * f.in, out,
                 f.in);
  }
}

}  // namespace zhiyin
