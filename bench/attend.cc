// Attention of one decoded token over a long context that lies in memory: GB/s of keys and values
// read as a share of the bandwidth probed in the same run. The cache is laid out as the engine's,
// layers are visited one after the other, and each thread has a head of its own.
//
//   bench_attend [--isa NAME] [--threads N] [--type f32|f16|q8_0] [--head N] [--rows N]
//   [--tokens N] [--split N] [--small-pages 1] [--stretch N]
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/random.h"
#include "kernels/kernels.h"
#include "kernels/kv_page.h"
#include "kernels/probe.h"
#include "measure.h"

namespace zhiyin {
namespace {

struct Options {
  const KernelTable* table = &best_kernel_table();
  int threads = 2;
  std::vector<KvType> types;
  int64_t head_dim = 64, rows = 7, tokens = 8192, layers = 24;
  int64_t split = 512;    // keys of a call
  int64_t stretch = 256;  // KB of pages of a head that follow one another
  bool small_pages = false;
};

constexpr std::string_view kTypeNames[] = {"f32", "f16", "q8_0"};

Options parse(int argc, char** argv) {
  Options options;
  for (int i = 1; i + 1 < argc; i += 2) {
    const std::string name = argv[i];
    const char* value = argv[i + 1];
    const int64_t number = std::strtoll(value, nullptr, 10);
    if (name == "--isa") {
      options.table = &kernel_table_named(value);
    } else if (name == "--threads") {
      options.threads = static_cast<int>(number);
    } else if (name == "--type") {
      const auto* found = std::find(std::begin(kTypeNames), std::end(kTypeNames), value);
      check(found != std::end(kTypeNames), ErrorCode::kUsage, "--type: unknown type ", value);
      options.types.push_back(static_cast<KvType>(found - std::begin(kTypeNames)));
    } else if (name == "--head") {
      options.head_dim = number;
    } else if (name == "--rows") {
      options.rows = number;
    } else if (name == "--tokens") {
      options.tokens = number;
    } else if (name == "--split") {
      options.split = number;
    } else if (name == "--stretch") {
      options.stretch = number;
    } else if (name == "--small-pages") {
      options.small_pages = number != 0;
    } else {
      fail(ErrorCode::kUsage, "unknown option ", name);
    }
  }
  if (options.types.empty()) options.types = {KvType::kF16, KvType::kQ8_0};
  return options;
}

void measure(const Options& options, KvType type) {
  const KernelTable& table = *options.table;
  const int64_t head_dim = options.head_dim, rows = options.rows, tokens = options.tokens;
  const int64_t head_bytes = kv_page_bytes(type, head_dim), piece = 2 * head_bytes;
  const int64_t pieces = options.layers * options.threads;
  const int64_t page_count = (tokens + kKvPageTokens - 1) / kKvPageTokens;
  const int64_t pages_a_region = std::clamp<int64_t>(options.stretch * 1024 / piece, 1, page_count);
  const int64_t stride = pages_a_region * piece;
  const int64_t regions = (page_count + pages_a_region - 1) / pages_a_region;
  const int64_t bytes = regions * pieces * stride;
  uint8_t* cache = bench::allocate(bytes, !options.small_pages);

  Random random(1);
  std::vector<float> values(static_cast<size_t>(std::max(rows, int64_t{2}) * head_dim));
  for (float& value : values) value = static_cast<float>(random.uniform()) - 0.5f;
  std::vector<uint8_t> content(static_cast<size_t>(piece));
  for (int64_t t = 0; t < kKvPageTokens; ++t) {
    table.write_kv({type, head_dim, t, values.data(), values.data() + head_dim, content.data(),
                    content.data() + head_bytes});
  }
  for (int64_t i = 0; i < regions * pieces * pages_a_region; ++i) {
    std::memcpy(cache + i * piece, content.data(), content.size());
  }
  std::vector<const uint8_t*> pages;
  for (int64_t p = 0; p < page_count; ++p) {
    pages.push_back(cache + p / pages_a_region * pieces * stride + p % pages_a_region * piece);
  }

  // Long enough that starting the threads does not count.
  const int64_t rounds = std::max<int64_t>(1, (int64_t{256} << 20) / bytes);
  const auto work = [&](int thread) {
    std::vector<float> scratch(static_cast<size_t>(attend_scratch_floats(rows, head_dim)));
    std::vector<float> out(static_cast<size_t>(rows * head_dim)), partial(2 * out.size());
    std::vector<const float*> q;
    std::vector<float*> targets;
    for (int64_t r = 0; r < rows; ++r) {
      q.push_back(values.data() + r * head_dim);
      targets.push_back(out.data() + r * head_dim);
    }
    const std::vector<int64_t> first(static_cast<size_t>(rows), 0);
    const std::vector<int64_t> last(static_cast<size_t>(rows), tokens);
    for (int64_t i = 0; i < options.layers * rounds; ++i) {
      const int64_t layer = i % options.layers;
      const int64_t key_offset = (layer * options.threads + thread) * stride;
      for (int64_t begin = 0; begin < tokens; begin += options.split) {
        table.attend({.type = type,
                      .head_dim = head_dim,
                      .pages = pages.data(),
                      .key_offset = key_offset,
                      .value_offset = key_offset + head_bytes,
                      .q = q.data(),
                      .out = targets.data(),
                      .first = first.data(),
                      .last = last.data(),
                      .rows = rows,
                      .scale = 0.125f,
                      .softcap = 0,
                      .split_begin = begin,
                      .split_end = std::min(tokens, begin + options.split),
                      .partial = partial.data(),
                      .scratch = scratch.data(),
                      .bf16 = false});
      }
    }
  };
  const auto median_time = [&](const std::function<void(int)>& run) {
    return bench::median(bench::seconds(options.threads, 15, run));
  };
  const double time = median_time(work) / static_cast<double>(rounds);
  const auto share = static_cast<size_t>(bytes / options.threads);
  const double read_time = median_time([&](int thread) {
    volatile uint64_t sink = probe_read(cache + static_cast<size_t>(thread) * share, share);
    static_cast<void>(sink);
  });
  const double read = static_cast<double>(piece * pieces * page_count);
  const double operations =
      4.0 * static_cast<double>(options.layers * options.threads * tokens * rows * head_dim);
  std::printf("%-5s head %3lld, rows %2lld: %5.1f GB/s of %.1f, %3.0f %%, %4.0f GFLOP/s\n",
              kTypeNames[static_cast<int>(type)].data(), static_cast<long long>(head_dim),
              static_cast<long long>(rows), read / time / 1e9,
              static_cast<double>(bytes) / read_time / 1e9,
              100 * read_time / time * read / static_cast<double>(bytes), operations / time / 1e9);
  std::free(cache);
}

int run(int argc, char** argv) {
  const Options options = parse(argc, argv);
  std::printf("%s, %d threads, %lld tokens\n", options.table->name, options.threads,
              static_cast<long long>(options.tokens));
  for (const KvType type : options.types) measure(options, type);
  return 0;
}

}  // namespace
}  // namespace zhiyin

int main(int argc, char** argv) {
  return zhiyin::bench::guarded("bench_attend", [&] { return zhiyin::run(argc, argv); });
}
