// Tokenizer speed: milliseconds to load, MB/s of encoding and tokens/s of decoding in processor
// time.
//   bench_tokenize FOLDER-OR-GGUF TEXT-FILE [REPEAT]
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include "measure.h"
#include "text/tokenizer_files.h"

namespace zhiyin {
namespace {

int run(const std::string& model, const std::string& text_file, int repeat) {
  const std::string text = read_file(text_file);
  std::vector<double> load_ms, encode_ms, decode_ms;
  size_t tokens = 0;
  for (int i = 0; i < repeat; ++i) {
    const double start = bench::processor_ms();
    const auto tokenizer = model.ends_with(".gguf") ? testing::load_gguf_tokenizer(model)
                                                    : testing::load_tokenizer_folder(model);
    const double loaded = bench::processor_ms();
    const auto ids = tokenizer->encode(text);
    const double encoded = bench::processor_ms();
    const std::string decoded = tokenizer->decode(ids);
    const double end = bench::processor_ms();
    load_ms.push_back(loaded - start);
    encode_ms.push_back(encoded - loaded);
    decode_ms.push_back(end - encoded);
    tokens = ids.size();
  }
  std::printf("load %.1f ms, %zu bytes -> %zu tokens, encode %.1f MB/s, decode %.1f Mtokens/s\n",
              bench::median(load_ms), text.size(), tokens,
              static_cast<double>(text.size()) / 1e3 / bench::median(encode_ms),
              static_cast<double>(tokens) / 1e3 / bench::median(decode_ms));
  return 0;
}

}  // namespace
}  // namespace zhiyin

int main(int argc, char** argv) {
  if (argc < 3) {
    std::fprintf(stderr, "usage: %s FOLDER-OR-GGUF TEXT-FILE [REPEAT]\n", argv[0]);
    return 2;
  }
  return zhiyin::bench::guarded(argv[0], [&] {
    return zhiyin::run(argv[1], argv[2], argc > 3 ? std::max(1, std::atoi(argv[3])) : 5);
  });
}
