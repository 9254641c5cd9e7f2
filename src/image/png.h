// Pictures as PNG, by libpng.
#pragma once

#include <string>

#include "image/canvas.h"

namespace zhiyin {

// The bytes of a PNG of 8-bit RGB. Throws kFailed with libpng's reason.
std::string png_of(const Canvas& canvas);

}  // namespace zhiyin
