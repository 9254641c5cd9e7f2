// safetensors files as a stranger might send them: any bytes must end in tensors or an Error.
#include "io/safetensors.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace zhiyin;
  try {
    unsigned sum = 0;
    for (const SafetensorsTensorInfo& tensor :
         parse_safetensors_header({data, size}, "fuzz.safetensors").tensors) {
      if (tensor.bytes > 0) sum += data[tensor.offset] + data[tensor.offset + tensor.bytes - 1];
    }
    volatile unsigned sink = sum;
    static_cast<void>(sink);
  } catch (const Error&) {
  }
  return 0;
}
