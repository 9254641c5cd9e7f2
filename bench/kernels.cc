// Dense kernels of one instruction set on one thread: products and attention as a share of the
// peak probed in the same run, the others in elements a second.
//
//   kernels [ISA]
#include "kernels/kernels.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <vector>

#include "base/random.h"
#include "kernels/kv_page.h"
#include "kernels/probe.h"
#include "measure.h"
#include "quant/formats.h"

namespace zhiyin {
namespace {

double seconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

// Seconds of one call: the best of many short rounds, some of which no other program disturbs.
template <typename Call>
double time(Call call) {
  call();
  double best = 1e9;
  for (int round = 0; round < 40; ++round) {
    int64_t calls = 0;
    const double begin = seconds();
    double elapsed = 0;
    do {
      call();
      ++calls;
      elapsed = seconds() - begin;
    } while (elapsed < 0.001);
    best = std::min(best, elapsed / static_cast<double>(calls));
  }
  return best;
}

std::vector<float> random_floats(int64_t n) {
  Random random(1);
  std::vector<float> values(static_cast<size_t>(n));
  for (float& value : values) value = static_cast<float>(random.uniform()) - 0.5f;
  return values;
}

template <typename Stored>
std::vector<Stored> ones(int64_t n) {
  return std::vector<Stored>(static_cast<size_t>(n), Stored{0x3f80});
}

void report_share(const char* what, double operations, double elapsed, double peak) {
  std::printf("%-44s %8.1f GFLOP/s", what, operations / elapsed * 1e-9);
  if (peak > 0) std::printf("  %3.0f %%", operations / elapsed / peak * 100);
  std::printf("\n");
}

void report_rate(const char* what, int64_t elements, double elapsed) {
  std::printf("%-44s %8.2f Gelement/s\n", what, static_cast<double>(elements) / elapsed * 1e-9);
}

void bench_products(const KernelTable& table, double f32_peak, double bf16_peak) {
  char name[64];
  for (const int64_t k : {64, 896, 1024, 1536, 4096, 4864}) {
    for (const int64_t tokens : {1, 16, 64, 256}) {
      const double operations = 2.0 * static_cast<double>(k * tokens * kPanelCols);
      std::vector<float> c(static_cast<size_t>(tokens * kPanelCols));
      const auto a = random_floats(tokens * k);
      const auto panel = random_floats(k * kPanelCols);
      std::snprintf(name, sizeof name, "gemm_panel_f32   k %ld tokens %ld", k, tokens);
      const GemmPanelF32Args f32 = {a.data(), k,          panel.data(), k,    tokens,
                                    c.data(), kPanelCols, kPanelCols,   false};
      report_share(name, operations, time([&] { table.gemm_panel_f32(f32); }), f32_peak);
      const auto a16 = ones<uint16_t>(tokens * k);
      const auto panel16 = ones<uint16_t>(k * kPanelCols);
      std::snprintf(name, sizeof name, "gemm_panel_bf16  k %ld tokens %ld", k, tokens);
      const GemmPanelBf16Args bf16 = {a16.data(), k,          panel16.data(), k,    tokens,
                                      c.data(),   kPanelCols, kPanelCols,     false};
      report_share(name, operations, time([&] { table.gemm_panel_bf16(bf16); }), bf16_peak);
    }
  }
  // As prompts have it: all rows of a block of k times a strip.
  constexpr int64_t kRows = 512, kDepth = 256, kPanels = 8;
  const std::unique_ptr<uint8_t, decltype(&std::free)> memory(
      bench::allocate(2 * kDepth * (kRows + kPanels * kPanelCols) +
                      4 * kRows * kPanels * kPanelCols),
      std::free);
  auto* sums = reinterpret_cast<float*>(memory.get());
  auto* blocks = reinterpret_cast<uint16_t*>(sums + kRows * kPanels * kPanelCols);
  const GemmBlocksBf16Args blocked = {blocks, blocks + kDepth * kRows, kDepth, kRows, kPanels, sums,
                                      true};
  report_share("gemm_blocks_bf16 depth 256, 512 rows, 8 panels",
               2.0 * static_cast<double>(kRows * kDepth * kPanels * kPanelCols),
               time([&] { table.gemm_blocks_bf16(blocked); }), bf16_peak);
  const int64_t k = 896;
  const auto rows = random_floats(k * kPanelCols);
  std::vector<float> panel(rows.size());
  std::vector<uint16_t> panel16(rows.size());
  report_rate("panel_from_rows_f32", k * kPanelCols, time([&] {
                table.panel_from_rows_f32(rows.data(), k, kPanelCols, k, panel.data());
              }));
  report_rate("panel_from_rows_bf16", k * kPanelCols, time([&] {
                table.panel_from_rows_bf16(rows.data(), k, kPanelCols, k, panel16.data());
              }));
}

// 2 operations for a score and 2 for a value, of every element that a row sees.
void bench_attention(const KernelTable& table, double peak) {
  constexpr int64_t kTokens = 512;
  constexpr int64_t kPages = kTokens / kKvPageTokens;
  constexpr const char* kTypes[] = {"f32", "f16", "q8_0"};
  for (const KvType type : {KvType::kF32, KvType::kF16, KvType::kQ8_0}) {
    for (const int64_t head_dim : {64, 128}) {
      const int64_t page_bytes = kv_page_bytes(type, head_dim);
      std::vector<uint8_t> cache(static_cast<size_t>(2 * page_bytes * kPages));
      const auto values = random_floats(head_dim);
      const uint8_t* pages[kPages];
      for (int64_t t = 0; t < kTokens; ++t) {
        uint8_t* page = cache.data() + t / kKvPageTokens * 2 * page_bytes;
        pages[t / kKvPageTokens] = page;
        table.write_kv({type, head_dim, t % kKvPageTokens, values.data(), values.data(), page,
                        page + page_bytes});
      }
      const auto run = [&](const char* what, int64_t rows, bool causal) {
        const auto q = random_floats(rows * head_dim);
        std::vector<float> out(q.size());
        std::vector<float> scratch(static_cast<size_t>(attend_scratch_floats(rows, head_dim)));
        std::vector<const float*> q_rows;
        std::vector<float*> out_rows;
        std::vector<int64_t> first(static_cast<size_t>(rows), 0), last;
        double seen = 0;
        for (int64_t r = 0; r < rows; ++r) {
          q_rows.push_back(q.data() + r * head_dim);
          out_rows.push_back(out.data() + r * head_dim);
          last.push_back(causal ? kTokens - rows + r + 1 : kTokens);
          seen += static_cast<double>(last.back());
        }
        const AttendArgs args = {.type = type,
                                 .head_dim = head_dim,
                                 .pages = pages,
                                 .key_offset = 0,
                                 .value_offset = page_bytes,
                                 .q = q_rows.data(),
                                 .out = out_rows.data(),
                                 .first = first.data(),
                                 .last = last.data(),
                                 .rows = rows,
                                 .scale = 0.125f,
                                 .softcap = 0,
                                 .split_begin = 0,
                                 .split_end = 0,
                                 .partial = nullptr,
                                 .scratch = scratch.data(),
                                 .bf16 = rows > 16};
        char name[64];
        std::snprintf(name, sizeof name, "attend %s %s, head %ld, rows %ld",
                      kTypes[static_cast<int>(type)], what, head_dim, rows);
        report_share(name, 4.0 * seen * static_cast<double>(head_dim),
                     time([&] { table.attend(args); }), peak);
      };
      for (const int64_t rows : {1, 3, 7}) run("decode", rows, false);
      run("prefill", 512, true);
    }
  }
}

void bench_dense_rows(const KernelTable& table) {
  const int64_t rows = 64, cols = 896;
  const auto w = random_floats(rows * cols);
  const auto x = random_floats(cols);
  std::vector<float> y(rows);
  for (const Format format : {Format::kF32, Format::kF16, Format::kBF16}) {
    const int64_t stride = row_bytes(format, cols);
    char name[64];
    std::snprintf(name, sizeof name, "gemv_dense %s", format_info(format).name);
    report_rate(name, rows * cols, time([&] {
                  table.gemv_dense({format, w.data(), stride, rows, cols, x.data(), y.data()});
                }));
  }
}

void bench_unpack(const KernelTable& table) {
  constexpr int64_t kElements = 4096;
  const auto x = random_floats(kElements);
  std::vector<float> y(x.size());
  for (const FormatInfo& info : all_formats()) {
    std::vector<uint8_t> packed(static_cast<size_t>(row_bytes(info.format, kElements)));
    info.pack(x.data(), packed.data(), kElements, nullptr);
    char name[64];
    std::snprintf(name, sizeof name, "unpack %s", info.name);
    report_rate(name, kElements,
                time([&] { table.unpack(info.format, packed.data(), y.data(), kElements); }));
  }
}

void bench_rows(const KernelTable& table) {
  constexpr int64_t n = 896;
  const auto a = random_floats(n), b = random_floats(n);
  std::vector<float> y(n), z(n);
  std::vector<uint16_t> half(n);
  float sink = 0;
  const auto run = [](const char* what, auto call) { report_rate(what, n, time(call)); };
  run("dot", [&] { sink += table.dot(a.data(), b.data(), n); });
  run("axpy", [&] { table.axpy(1e-9f, a.data(), y.data(), n); });
  run("add", [&] { table.add(a.data(), b.data(), y.data(), n); });
  run("max", [&] { sink += table.max(a.data(), n); });
  run("rms_norm", [&] { table.rms_norm(a.data(), b.data(), 1e-6f, y.data(), n); });
  run("silu", [&] { table.silu(a.data(), y.data(), n); });
  run("swiglu", [&] { table.swiglu(a.data(), b.data(), y.data(), n); });
  run("swiglu_backward",
      [&] { table.swiglu_backward(a.data(), b.data(), a.data(), y.data(), z.data(), n); });
  run("exp_sum", [&] { sink += table.exp_sum(a.data(), 1, y.data(), n); });
  run("softmax", [&] { table.softmax(a.data(), 1, y.data(), n); });
  for (const bool adjacent : {false, true}) {
    run(adjacent ? "rope, adjacent" : "rope, halves",
        [&] { table.rope({z.data(), n / 64, 64, 64, a.data(), b.data(), adjacent}); });
  }
  run("f32_to_f16", [&] { table.f32_to_f16(a.data(), half.data(), n); });
  run("f16_to_f32", [&] { table.f16_to_f32(half.data(), y.data(), n); });
  run("f32_to_bf16", [&] { table.f32_to_bf16(a.data(), half.data(), n); });
  run("bf16_to_f32", [&] { table.bf16_to_f32(half.data(), y.data(), n); });
  if (sink == 12345) std::puts("");  // the sums are used
}

}  // namespace
}  // namespace zhiyin

int main(int argc, char** argv) {
  using namespace zhiyin;
  const KernelTable& table = argc > 1 ? kernel_table_named(argv[1]) : best_kernel_table();
  const double f32_peak = probe_f32_peak(table.isa);
  const double bf16_peak = probe_bf16_peak(table.isa);
  std::printf("%s: peak of one thread %.1f GFLOP/s in f32, %.1f in bf16\n", table.name,
              f32_peak * 1e-9, bf16_peak * 1e-9);
  bench_products(table, f32_peak, bf16_peak);
  bench_attention(table, f32_peak);
  bench_dense_rows(table);
  bench_unpack(table);
  bench_rows(table);
}
