// check_family: proves a family on a small model of random weights whose logits and hidden states
// were computed by the reference implementation (tools/golden/models.py).
#pragma once

#include <string>

namespace zhiyin::testing {

// folder: model/ (config.json, model.safetensors), ids.txt, golden.safetensors (logits [tokens,
// vocabulary], hidden.K). Checks: no tensor missing or left over; hidden states and logits within
// 1e-4 in exact mode on every instruction set; prefill = step by step = batched, with every type of
// cache; every format of weights within its bound; GGUF = safetensors.
void check_family(const std::string& folder);

}  // namespace zhiyin::testing
