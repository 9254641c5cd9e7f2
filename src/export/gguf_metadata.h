// The metadata of an exported GGUF: taken over from a GGUF base, or made from the configuration and
// the tokenizer of a Hugging Face folder.
#pragma once

#include "export/gguf_export.h"
#include "io/gguf.h"

namespace zhiyin {

void write_gguf_metadata(GgufWriter& writer, const GgufExport& job);

}  // namespace zhiyin
