// Puts the factors of a LoRA adapter on the linear layers they belong to.
#pragma once

#include <span>
#include <string>

#include "nn/linear.h"
#include "nn/lora_adapter.h"

namespace zhiyin {

// Every module of the adapter must name a layer whose shape fits; its factors become parameters
// that a tape can watch. `source` names the adapter in messages. Throws kFailed otherwise, naming
// the module and both shapes, or the nearest layer.
void attach_adapter(Context& context, const LoraAdapter& adapter, std::span<Linear* const> layers,
                    const std::string& source);

}  // namespace zhiyin
