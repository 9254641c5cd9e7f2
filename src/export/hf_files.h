// The small files of an exported Hugging Face folder: configuration, tokenizer, chat template,
// sampling defaults.
#pragma once

#include <string>

#include "export/hf_export.h"

namespace zhiyin {

// `format` is what config.json names as the type of the weights. config.json is written last.
void write_hf_files(const HfExport& job, const std::string& folder, Format format);

}  // namespace zhiyin
