#include "train/lora.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "base/error.h"
#include "base/nearest.h"
#include "base/random.h"

namespace zhiyin {
namespace {

bool is_target(const std::string& path, const std::string& target) {
  return path == target || path.ends_with("." + target);
}

// Targets that match no layer are mistakes of writing.
void check_targets(std::span<Linear* const> layers, std::span<const std::string> targets) {
  std::set<std::string> names;
  for (const Linear* layer : layers) {
    names.insert(layer->path().substr(layer->path().rfind('.') + 1));
  }
  const std::vector<std::string> known(names.begin(), names.end());
  for (const std::string& target : targets) {
    check(std::any_of(layers.begin(), layers.end(),
                      [&](const Linear* layer) { return is_target(layer->path(), target); }),
          ErrorCode::kUsage, "lora_target: the model has no layer ", target, "; the nearest is ",
          nearest(target, known), " of ", join(known));
  }
}

}  // namespace

LoraAdapter new_adapter(std::span<Linear* const> layers, const LoraOptions& options) {
  check(options.rank > 0, ErrorCode::kUsage, "lora_rank: ", options.rank, " is not above 0");
  check_targets(layers, options.targets);
  LoraAdapter adapter;
  adapter.rank = options.rank;
  adapter.alpha = options.alpha;
  adapter.rslora = options.rslora;
  adapter.dropout = options.dropout;
  Random random(options.seed);
  for (const Linear* layer : layers) {
    if (!options.targets.empty() &&
        std::none_of(options.targets.begin(), options.targets.end(),
                     [&](const std::string& t) { return is_target(layer->path(), t); })) {
      continue;
    }
    LoraFactors factors{.rank = options.rank,
                        .in = layer->matrix().cols(),
                        .out = layer->matrix().rows(),
                        .a = {},
                        .b = {}};
    const double bound = 1.0 / std::sqrt(static_cast<double>(factors.in));
    factors.a.resize(static_cast<size_t>(factors.rank * factors.in));
    for (float& value : factors.a) {
      value = static_cast<float>((2.0 * random.uniform() - 1.0) * bound);
    }
    factors.b.resize(static_cast<size_t>(factors.out * factors.rank));
    adapter.modules.emplace(layer->path(), std::move(factors));
  }
  return adapter;
}

LoraAdapter adapter_of(std::span<Linear* const> layers, const LoraAdapter& like) {
  LoraAdapter adapter = like;
  adapter.modules.clear();
  for (const Linear* layer : layers) {
    if (layer->adapters().empty()) continue;
    const Lora& lora = layer->adapters().back();
    adapter.modules.emplace(layer->path(), LoraFactors{.rank = lora.a.dim(0),
                                                       .in = lora.a.dim(1),
                                                       .out = lora.b.dim(0),
                                                       .a = lora.a.to_vector(),
                                                       .b = lora.b.to_vector()});
  }
  return adapter;
}

}  // namespace zhiyin
