// Families of models, registered by one line each in families.def.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "models/task.h"

namespace zhiyin {

struct Family {
  const char* name;
  // Names in config.json's "architectures" and in GGUF's general.architecture.
  std::vector<std::string> architectures;
  // Adjusts what the files say before make(); may be nullptr.
  void (*fixup)(ModelConfig& config);
  std::unique_ptr<CausalLm> (*make)(const ModelConfig& config, const Weights& weights);
};

std::span<const Family* const> all_families();

// Throws kUnsupported, naming the architecture and those known.
const Family& family_of(std::string_view architecture);

// fixup and make, then a check that no tensor of the files was left over. Names of tensors that
// stayed unused are returned in `unused`, where given.
std::unique_ptr<CausalLm> make_causal_lm(ModelConfig config, const Weights& weights,
                                         std::vector<std::string>* unused = nullptr);

}  // namespace zhiyin
