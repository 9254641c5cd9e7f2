// Hugging Face folders: config.json and generation_config.json as neutral structs. Both layouts of
// rope settings are read: rope_theta + rope_scaling (up to transformers 4) and rope_parameters.
// What the files leave out is filled as transformers' config classes do.
// docs/formats/hugging-face-folder.md says which file means what.
#pragma once

#include <string>
#include <string_view>

#include "io/generation_defaults.h"
#include "nn/model_config.h"

namespace zhiyin {

// `text` is the content of config.json; `path` is for messages. Throws kFailed naming the field
// that is missing, of a wrong type or out of range, kUnsupported for an unknown rope type.
ModelConfig config_from_json(std::string_view text, const std::string& path);

// `text` is the content of generation_config.json.
GenerationDefaults generation_from_json(std::string_view text, const std::string& path);

}  // namespace zhiyin
