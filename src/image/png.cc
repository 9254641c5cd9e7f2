#include "image/png.h"

#include <png.h>

#include "base/error.h"

namespace zhiyin {

std::string png_of(const Canvas& canvas) {
  png_image image{};
  image.version = PNG_IMAGE_VERSION;
  image.width = static_cast<png_uint_32>(canvas.width());
  image.height = static_cast<png_uint_32>(canvas.height());
  image.format = PNG_FORMAT_RGB;
  png_alloc_size_t size = PNG_IMAGE_PNG_SIZE_MAX(image);
  std::string bytes(size, '\0');
  const int written = png_image_write_to_memory(&image, bytes.data(), &size, /*convert_to_8_bit=*/0,
                                                canvas.pixels().data(), /*row_stride=*/0, nullptr);
  check(written != 0, ErrorCode::kFailed, "png: ", static_cast<const char*>(image.message));
  bytes.resize(size);
  return bytes;
}

}  // namespace zhiyin
