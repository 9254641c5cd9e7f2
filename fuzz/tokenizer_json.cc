// tokenizer.json from anywhere: an error or a tokenizer, which then has to encode and decode.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/error.h"
#include "text/spec_json.h"
#include "text/tokenizer.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view json(reinterpret_cast<const char*>(data), size);
  constexpr std::string_view kText =
      "Hello, y'all! <s> 12345\n\n  你好，世界 a\u0308 ▁x 🙂\xFF\xE4\xB8 the end</s> ";
  try {
    const auto tokenizer = zhiyin::make_tokenizer(zhiyin::tokenizer_spec_from_json(json));
    const auto ids =
        tokenizer->encode(kText, {.add_special = true, .parse_special = size % 2 == 0});
    tokenizer->decode(ids);
    zhiyin::StreamDecoder stream(*tokenizer);
    for (const int32_t id : ids) stream.add(id);
    stream.flush();
  } catch (const zhiyin::Error&) {
  }
  return 0;
}
