// Llama 2, 3, 3.1, 3.2, SmolLM2 and what shares their architecture.
#include "models/decoder.h"
#include "models/family.h"

namespace zhiyin {

extern const Family family_llama;
const Family family_llama = {
    .name = "llama",
    .architectures = {"LlamaForCausalLM", "llama"},
    .fixup = nullptr,
    .make = [](const ModelConfig& config, const Weights& weights) -> std::unique_ptr<CausalLm> {
      return std::make_unique<Decoder>(config, weights);
    },
};

}  // namespace zhiyin
