// Files of packed weights: any bytes must end in weights, in another key or in an Error. Seeds were
// written by write_packed_file() for the matrix below.
#include "io/packed_file.h"

#include <sys/mman.h>
#include <unistd.h>

#include "base/error.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace zhiyin;
  static const int file = memfd_create("packed", MFD_CLOEXEC);
  static const std::string path = cat("/proc/self/fd/", file);
  static Context context({.threads = 1});
  static const std::vector<float> zeros(32 * 32);
  static const std::vector<Weight> weights{
      Weight::packed_from(context, "w", Format::kQ4_0, 32, 32, zeros.data())};
  if (ftruncate(file, 0) != 0 || pwrite(file, data, size, 0) != static_cast<ssize_t>(size))
    return 0;
  try {
    packed_file_model(path);
    read_packed_file(context, path, 1, weights);
  } catch (const Error&) {
  }
  weights[0].unprepare();
  return 0;
}
