// New LoRA adapters, and the way back from trained layers to plain factors.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "nn/linear.h"
#include "nn/lora_adapter.h"

namespace zhiyin {

struct LoraOptions {
  int64_t rank = 8;
  double alpha = 16;
  bool rslora = false;
  double dropout = 0;
  // Last parts of layer paths ("q_proj", "mlp.up_proj"); empty: every linear layer.
  std::vector<std::string> targets;
  uint64_t seed = 42;
};

// a from U(-1 / sqrt(in), 1 / sqrt(in)), b zero, as peft begins: the model is unchanged at first.
// Throws kUsage for a target that no layer has, naming the nearest.
LoraAdapter new_adapter(std::span<Linear* const> layers, const LoraOptions& options);

// The factors as they are now of the adapter that each layer got last; layers without one are left
// out. The other fields are those of `like`.
LoraAdapter adapter_of(std::span<Linear* const> layers, const LoraAdapter& like);

}  // namespace zhiyin
