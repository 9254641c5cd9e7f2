// config.json and generation_config.json: any text must end in a configuration or an Error.
#include <cstdint>

#include "base/error.h"
#include "io/hf_config.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace zhiyin;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  try {
    config_from_json(text, "config.json");
  } catch (const Error&) {
  }
  try {
    generation_from_json(text, "generation_config.json");
  } catch (const Error&) {
  }
  return 0;
}
