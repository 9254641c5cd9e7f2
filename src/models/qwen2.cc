// Qwen2, Qwen2.5, Qwen2.5-Coder, Marco-o1: llama with biases on q, k and v.
#include "models/decoder.h"
#include "models/family.h"

namespace zhiyin {

extern const Family family_qwen2;
const Family family_qwen2 = {
    .name = "qwen2",
    .architectures = {"Qwen2ForCausalLM", "qwen2"},
    .fixup = [](ModelConfig& config) { config.qkv_bias = true; },
    .make = [](const ModelConfig& config, const Weights& weights) -> std::unique_ptr<CausalLm> {
      return std::make_unique<Decoder>(config, weights);
    },
};

}  // namespace zhiyin
