#include "tensor/context.h"

namespace zhiyin {

Context::Context(const ContextOptions& options)
    : pool_(options.threads),
      kernels_(options.kernels != nullptr ? options.kernels : &best_kernel_table()),
      precision_(options.precision) {}

}  // namespace zhiyin
