#include "kernels/ref/kernels_ref.h"
#include "quant/formats.h"

namespace zhiyin::ref {

void unpack(Format format, const void* source, float* target, int64_t n) {
  format_info(format).unpack(source, target, n);
}

void quantize_q8_0(const float* x, void* y, int64_t n) {
  format_info(Format::kQ8_0).pack(x, y, n, nullptr);
}

}  // namespace zhiyin::ref
