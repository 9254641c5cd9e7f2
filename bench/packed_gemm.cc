// Integer products with packed weights against what the machine can do: GB/s of weights read with
// few tokens as a share of the bandwidth, Gop/s with many as a share of the peak, both probed in
// the same run.
//
//   packed_gemm [--isa NAME] [--threads N] [--cols N] [--tokens N]... [--format NAME]... [--mb N]
//   [--fine 1] [--best 1]
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <random>
#include <string>
#include <vector>

#include "base/error.h"
#include "kernels/kernels.h"
#include "kernels/probe.h"
#include "measure.h"
#include "quant/formats.h"

namespace zhiyin {
namespace {

struct Options {
  const KernelTable* table = &best_kernel_table();
  int threads = 2;
  std::vector<int64_t> cols;
  std::vector<int64_t> tokens;
  std::vector<Format> formats;
  int64_t megabytes = 256;  // of weights; well above the last-level cache
  bool fine = false;        // activations rounded to 15 bits rather than 8
  bool best = false;        // times are the best of the repeats rather than the median
};

int64_t number(const char* text) { return std::strtoll(text, nullptr, 10); }

Options parse(int argc, char** argv) {
  Options options;
  for (int i = 1; i + 1 < argc; i += 2) {
    const std::string name = argv[i];
    const char* value = argv[i + 1];
    if (name == "--isa") {
      options.table = &kernel_table_named(value);
    } else if (name == "--threads") {
      options.threads = static_cast<int>(number(value));
    } else if (name == "--cols") {
      options.cols.push_back(number(value));
    } else if (name == "--tokens") {
      options.tokens.push_back(number(value));
    } else if (name == "--mb") {
      options.megabytes = number(value);
    } else if (name == "--fine") {
      options.fine = number(value) != 0;
    } else if (name == "--best") {
      options.best = number(value) != 0;
    } else if (name == "--format") {
      const FormatInfo* info = find_format(value);
      check(info != nullptr, ErrorCode::kUsage, "--format: unknown format ", value);
      options.formats.push_back(info->format);
    } else {
      fail(ErrorCode::kUsage, "unknown option ", name);
    }
  }
  if (options.cols.empty()) options.cols = {1536};
  if (options.tokens.empty()) options.tokens = {1, 4, 16, 512};
  if (options.formats.empty()) {
    options.formats = {Format::kQ4_0, Format::kQ4_1, Format::kQ5_0,   Format::kQ5_1,
                       Format::kQ8_0, Format::kQ2_K, Format::kQ3_K,   Format::kQ4_K,
                       Format::kQ5_K, Format::kQ6_K, Format::kIQ4_NL, Format::kIQ4_XS};
  }
  return options;
}

// Seconds until work(0) ... work(threads - 1), run at once, have all ended.
double seconds(const Options& options, int repeats, const std::function<void(int)>& work) {
  const std::vector<double> times = bench::seconds(options.threads, repeats, work);
  return options.best ? *std::min_element(times.begin(), times.end()) : bench::median(times);
}

struct Limits {
  double bytes, int8;  // a second, all threads together
};

Limits probe_limits(const Options& options, const uint8_t* data, int64_t bytes) {
  const int64_t share = bytes / options.threads;
  const double read_time = seconds(options, 7, [&](int thread) {
    [[maybe_unused]] static volatile uint64_t sink;
    sink = probe_read(data + thread * share, static_cast<size_t>(share));
  });
  std::vector<double> peaks(static_cast<size_t>(options.threads));
  seconds(options, 1, [&](int thread) {
    peaks[static_cast<size_t>(thread)] = probe_int8_peak(options.table->isa);
  });
  double peak = 0;
  for (const double thread_peak : peaks) peak += thread_peak;
  return {static_cast<double>(bytes) / read_time, peak};
}

// A matrix of normally distributed weights; one group of 16 rows, repeated.
void fill(const Options& options, const PackedWeight& w, uint8_t* data) {
  const FormatInfo& info = format_info(w.format);
  const int64_t bytes = row_bytes(w.format, w.cols);
  std::mt19937 random(1);
  std::normal_distribution<float> normal;
  std::vector<float> row(static_cast<size_t>(w.cols));
  std::vector<uint8_t> rows(static_cast<size_t>(kPackRows * bytes));
  for (int r = 0; r < kPackRows; ++r) {
    for (float& value : row) value = normal(random);
    info.pack(row.data(), rows.data() + r * bytes, w.cols, nullptr);
  }
  options.table->pack_rows(w.format, rows.data(), bytes, kPackRows, w.cols, data);
  for (int64_t group = 1; group < w.rows / kPackRows; ++group) {
    std::memcpy(data + group * w.group_bytes, data, static_cast<size_t>(w.group_bytes));
  }
}

void measure(const Options& options, const Limits& limits, Format format, int64_t cols,
             uint8_t* data) {
  const KernelTable& table = *options.table;
  if (cols % format_info(format).block != 0) return;
  PackedWeight w = {data, format, 0, cols, table.packed_group_bytes(format, cols)};
  const int64_t groups = (options.megabytes << 20) / w.group_bytes;
  w.rows = groups * kPackRows;
  fill(options, w, data);
  const int64_t most = *std::max_element(options.tokens.begin(), options.tokens.end());
  std::mt19937 random(2);
  std::normal_distribution<float> normal;
  std::vector<float> x(static_cast<size_t>(most * cols));
  for (float& value : x) value = normal(random);
  std::vector<int8_t> q(x.size()), low(x.size());
  std::vector<float> scales(x.size() / kQ8Block);
  std::vector<int32_t> sums(scales.size());
  table.quantize_rows(x.data(), cols, most, cols,
                      {q.data(), options.fine ? low.data() : nullptr, scales.data(), sums.data()});
  const Q8TileLayout layout{cols, options.fine};
  uint8_t* tiles = bench::allocate((most + kQ8TileTokens - 1) / kQ8TileTokens * layout.bytes());
  if (table.prefill_requantized) table.q8_tiles_from_rows(x.data(), cols, most, layout, tiles);
  std::printf("%-7s %5lld cols ", format_info(format).name, static_cast<long long>(cols));
  for (const int64_t tokens : options.tokens) {
    // Many tokens need no large matrix.
    const int64_t used = std::min(
        groups,
        std::max<int64_t>(options.threads * 32, tokens <= 32 ? groups : 2 * groups / tokens));
    std::vector<float> y(static_cast<size_t>(tokens * used * kPackRows));
    const auto work = [&](int thread) {
      const int64_t begin = used * thread / options.threads;
      const int64_t end = used * (thread + 1) / options.threads;
      if (table.prefill_requantized && tokens > 16) {
        table.gemm_requantized({w, tiles, options.fine, tokens, y.data(), used * kPackRows,
                                begin * kPackRows, end * kPackRows});
        return;
      }
      table.gemm_packed({w, q.data(), options.fine ? low.data() : nullptr, scales.data(),
                         sums.data(), tokens, y.data(), used * kPackRows, begin * kPackRows,
                         end * kPackRows});
    };
    const double time = seconds(options, options.best ? 100 : 7, work);
    const double bytes = static_cast<double>(used * w.group_bytes);
    const double operations = 2.0 * static_cast<double>(tokens * used * kPackRows * cols);
    std::printf("| %3lld: %5.1f GB/s %3.0f %% %5.0f Gop/s %3.0f %% ",
                static_cast<long long>(tokens), bytes / time / 1e9,
                100 * bytes / time / limits.bytes, operations / time / 1e9,
                100 * operations / time / limits.int8);
    std::fflush(stdout);
  }
  std::free(tiles);
  std::printf("\n");
}

int run(int argc, char** argv) {
  const Options options = parse(argc, argv);
  const int64_t bytes = (options.megabytes << 20) + (8 << 20);
  uint8_t* data = bench::allocate(bytes);
  const Limits limits = probe_limits(options, data, options.megabytes << 20);
  std::printf("%s, %d threads: %.1f GB/s, %.0f Gop/s of 8 bits\n", options.table->name,
              options.threads, limits.bytes / 1e9, limits.int8 / 1e9);
  for (const int64_t cols : options.cols) {
    for (const Format format : options.formats) measure(options, limits, format, cols, data);
  }
  std::free(data);
  return 0;
}

}  // namespace
}  // namespace zhiyin

int main(int argc, char** argv) {
  return zhiyin::bench::guarded("packed_gemm", [&] { return zhiyin::run(argc, argv); });
}
