#include "io/tensor_entry.h"

namespace zhiyin {

std::vector<float> to_floats(const TensorEntry& tensor) {
  const FormatInfo& format = format_info(tensor.required_format());
  const int64_t columns = tensor.shape.empty() ? 1 : tensor.shape.back();
  const int64_t stride = row_bytes(format.format, columns);
  const int64_t rows = columns > 0 ? tensor.element_count() / columns : 0;
  std::vector<float> floats(static_cast<size_t>(tensor.element_count()));
  for (int64_t row = 0; row < rows; ++row) {
    format.unpack(tensor.data + row * stride, floats.data() + row * columns, columns);
  }
  return floats;
}

}  // namespace zhiyin
