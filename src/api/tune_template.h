// The chat template of a tuning run, which its export carries too: what the model saw in training
// is what it sees when it is served.
#pragma once

#include <string>

#include "api/model_impl.h"
#include "zhiyin/finetune.h"

namespace zhiyin {

// The system message of LLaMA-Factory's template "qwen" for conversations that have none.
extern const char* const kQwenSystem;

// Jinja for config.chat_template: "chatml" is plain ChatML; "qwen" puts kQwenSystem before a
// conversation without a system message, as LLaMA-Factory's does; empty or "auto" is the model's
// own. config.system takes the place of such a message in all of them. Throws kUnsupported for
// other names and for a base that has no template.
std::string tuning_template(const TuneConfig& config, const Model::Impl& model);

}  // namespace zhiyin
