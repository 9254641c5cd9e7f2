// Pseudonyms on any text: masking must end, and take no longer than its length allows.
#include <cstdint>
#include <memory>
#include <string>

#include "base/utf8.h"
#include "chats/mask.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace zhiyin;
  // Compiling the expressions takes longer than using them.
  constexpr size_t kMostPseudonyms = 1000;
  static std::unique_ptr<chats::Masker> masker;
  if (!masker || masker->pseudonyms().size() > kMostPseudonyms) {
    masker = std::make_unique<chats::Masker>(std::vector<std::string>{"张三", "Tom"});
  }
  masker->mask(sanitize_utf8({reinterpret_cast<const char*>(data), size}));
  return 0;
}
