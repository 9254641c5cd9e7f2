#include "nn/attach_adapter.h"

#include "base/error.h"
#include "base/nearest.h"

namespace zhiyin {

void attach_adapter(Context& context, const LoraAdapter& adapter, std::span<Linear* const> layers,
                    const std::string& source) {
  std::map<std::string, Linear*, std::less<>> by_path;
  std::vector<std::string> paths;
  for (Linear* layer : layers) {
    by_path[layer->path()] = layer;
    paths.push_back(layer->path());
  }
  for (const auto& [path, factors] : adapter.modules) {
    const auto found = by_path.find(path);
    check(found != by_path.end(), ErrorCode::kFailed, source, ": the model has no layer ", path,
          "; the nearest is ", nearest(path, paths));
    Linear& layer = *found->second;
    check(factors.in == layer.matrix().cols() && factors.out == layer.matrix().rows(),
          ErrorCode::kFailed, source, ": the factors of ", path, " are for a matrix [", factors.out,
          ", ", factors.in, "], the model's is ", layer.matrix().shape().text());
    layer.adapters().push_back(
        {.a = Tensor::parameter(context, {factors.rank, factors.in}, factors.a),
         .b = Tensor::parameter(context, {factors.out, factors.rank}, factors.b),
         .scale = adapter.scale(factors),
         .dropout = static_cast<float>(adapter.dropout),
         .dropout_seed = 0});
  }
}

}  // namespace zhiyin
