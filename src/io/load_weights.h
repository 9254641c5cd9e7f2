// The tensors of opened files as the scoped Weights that families read.
#pragma once

#include "io/model_files.h"
#include "nn/weights.h"
#include "quant/mix.h"

namespace zhiyin {

// Views into the mapped files; tensors of types that hold no weights are left out. The mapping
// lives as long as the weights.
Weights load_weights(Context& context, const ModelFiles& files);

// The same with every matrix packed in memory into the format that a mix gives it, as quantising
// the model would.
Weights load_packed_weights(Context& context, const ModelFiles& files, Mix mix);

}  // namespace zhiyin
