#include "kernels/ref/kernels_ref.h"
#include "quant/formats.h"

namespace zhiyin::ref {

void unpack(Format format, const void* source, float* target, int64_t n) {
  format_info(format).unpack(source, target, n);
}

}  // namespace zhiyin::ref
