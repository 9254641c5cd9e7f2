#include "io/load_weights.h"

#include "io/tensor_names.h"

namespace zhiyin {
namespace {

std::vector<Weight> mapped_weights(const ModelFiles& files) {
  files.require_weights();
  std::vector<Weight> weights;
  for (const TensorEntry& tensor : files.tensors) {
    if (!tensor.format || tensor.shape.empty()) continue;
    const int64_t cols = tensor.shape.back();
    const int64_t rows = cols == 0 ? 0 : tensor.element_count() / cols;
    weights.emplace_back(tensor.name, *tensor.format, rows, cols, tensor.data, tensor.file);
  }
  return weights;
}

// Row by row, so that no matrix exists in f32 as a whole.
Weight packed(Context& context, const Weight& from, Format format) {
  const FormatInfo& info = format_info(format);
  const int64_t stride = row_bytes(format, from.cols());
  auto bytes = std::make_shared<std::vector<uint8_t>>(static_cast<size_t>(from.rows() * stride));
  context.pool().parallel_for(from.rows(), 8, [&](int64_t begin, int64_t end) {
    std::vector<float> row(static_cast<size_t>(from.cols()));
    for (int64_t r = begin; r < end; ++r) {
      from.unpack_row(context.kernels(), r, 0, from.cols(), row.data());
      info.pack(row.data(), bytes->data() + r * stride, from.cols(), nullptr);
    }
  });
  const uint8_t* data = bytes->data();
  return {from.name(), format, from.rows(), from.cols(), data, std::move(bytes)};
}

}  // namespace

Weights load_weights(Context& context, const ModelFiles& files) {
  return {context, files.path, mapped_weights(files)};
}

Weights load_packed_weights(Context& context, const ModelFiles& files, Mix mix) {
  std::vector<Weight> weights = mapped_weights(files);
  const ModelConfig& c = *files.config;
  // Mixes know tensors by their names in a GGUF.
  std::vector<std::string> names;
  for (const Weight& weight : weights) {
    names.push_back(gguf_tensor_name(c.model_type, weight.name()).value_or(weight.name()));
  }
  std::vector<MixTensor> tensors;
  for (size_t i = 0; i < weights.size(); ++i) {
    tensors.push_back({names[i], weights[i].cols(), weights[i].rows() > 1 ? 2 : 1});
  }
  const std::vector<Format> formats = choose_mix(mix, tensors,
                                                 {.layers = static_cast<int>(c.layers),
                                                  .heads = static_cast<int>(c.heads),
                                                  .kv_heads = static_cast<int>(c.kv_heads)});
  for (size_t i = 0; i < weights.size(); ++i) {
    if (weights[i].rows() > 1) weights[i] = packed(context, weights[i], formats[i]);
  }
  return {context, files.path, std::move(weights)};
}

}  // namespace zhiyin
