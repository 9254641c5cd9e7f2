// Tokenizer speed: milliseconds to load, MB/s of encoding and tokens/s of decoding in processor
// time.
//   bench_tokenize FOLDER-OR-GGUF TEXT-FILE [REPEAT]
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <memory>
#include <string>
#include <vector>

#include "text/tokenizer_files.h"

namespace zhiyin {
namespace {

// Of this process: a busy machine does not count, and there is only one thread.
double now_ms() {
  return static_cast<double>(std::clock()) * 1e3 / static_cast<double>(CLOCKS_PER_SEC);
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

int run(const std::string& model, const std::string& text_file, int repeat) {
  const std::string text = read_file(text_file);
  std::vector<double> load_ms, encode_ms, decode_ms;
  size_t tokens = 0;
  for (int i = 0; i < repeat; ++i) {
    const double start = now_ms();
    const auto tokenizer = model.ends_with(".gguf") ? testing::load_gguf_tokenizer(model)
                                                    : testing::load_tokenizer_folder(model);
    const double loaded = now_ms();
    const auto ids = tokenizer->encode(text);
    const double encoded = now_ms();
    const std::string decoded = tokenizer->decode(ids);
    const double end = now_ms();
    load_ms.push_back(loaded - start);
    encode_ms.push_back(encoded - loaded);
    decode_ms.push_back(end - encoded);
    tokens = ids.size();
  }
  std::printf("load %.1f ms, %zu bytes -> %zu tokens, encode %.1f MB/s, decode %.1f Mtokens/s\n",
              median(load_ms), text.size(), tokens,
              static_cast<double>(text.size()) / 1e3 / median(encode_ms),
              static_cast<double>(tokens) / 1e3 / median(decode_ms));
  return 0;
}

}  // namespace
}  // namespace zhiyin

int main(int argc, char** argv) {
  if (argc < 3) {
    std::fprintf(stderr, "usage: %s FOLDER-OR-GGUF TEXT-FILE [REPEAT]\n", argv[0]);
    return 2;
  }
  try {
    return zhiyin::run(argv[1], argv[2], argc > 3 ? std::max(1, std::atoi(argv[3])) : 5);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
}
