#include "zhiyin/bench.h"

#include <cstdio>
#include <iostream>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/progress.h"
#include "cli/verb.h"

namespace zhiyin::cli {
namespace {

struct Options {
  std::string model;
  BenchOptions bench;
  bool json = false, limits = false;
  OpenOptions open;
};

void print_limits(const Options& o) {
  const MachineLimits l = measure_limits(o.open);
  if (o.json) {
    nlohmann::ordered_json by_threads = nlohmann::ordered_json::object();
    for (const auto& [threads, gbps] : l.memory_gbps_by_threads) {
      by_threads[std::to_string(threads)] = gbps;
    }
    std::cout << nlohmann::ordered_json{{"memory_gbps", l.memory_gbps},
                                        {"memory_gbps_by_threads", by_threads},
                                        {"f32_flops", l.f32_flops},
                                        {"bf16_flops", l.bf16_flops},
                                        {"int8_ops", l.int8_ops},
                                        {"isa", l.isa},
                                        {"threads", l.threads}}
              << '\n';
    return;
  }
  std::printf("%s, %d threads\n", l.isa.c_str(), l.threads);
  std::printf("memory  %8.1f GB/s", l.memory_gbps);
  for (const auto& [threads, gbps] : l.memory_gbps_by_threads) {
    if (threads < l.threads)
      std::printf("%s%.1f with %d", threads == 1 ? "  (" : ", ", gbps, threads);
  }
  std::printf("%s\n", l.threads > 1 ? ")" : "");
  std::printf("f32     %8.2f Tflop/s\n", l.f32_flops / 1e12);
  std::printf("bf16    %8.2f Tflop/s\n", l.bf16_flops / 1e12);
  std::printf("int8    %8.2f Top/s\n", l.int8_ops / 1e12);
}

void run(const Options& o) {
  if (o.limits) {
    print_limits(o);
    return;
  }
  check(!o.model.empty(), ErrorCode::kUsage, "bench: give a MODEL, or --limits");
  Progress progress("bench", o.bench.repeat + (o.bench.context > 0 ? 4 : 3));
  int64_t stage = 0;
  const BenchResult r = bench(o.model, o.open, o.bench,
                              [&](const std::string& name) { progress.update(stage++, name); });
  if (o.json) {
    std::cout << nlohmann::ordered_json{{"prefill_tps", r.prefill_tps},
                                        {"decode_tps", r.decode_tps},
                                        {"load_s", r.load_s},
                                        {"packed_origin", r.packed_origin},
                                        {"decode_bytes", r.decode_bytes},
                                        {"cache_bytes", r.cache_bytes},
                                        {"peak_resident_bytes", r.peak_resident_bytes},
                                        {"memory_gbps", r.memory_gbps},
                                        {"decode_share_of_memory_limit",
                                         r.decode_share_of_memory_limit},
                                        {"peak_flops", r.peak_flops},
                                        {"prefill_share_of_peak", r.prefill_share_of_peak},
                                        {"isa", r.isa},
                                        {"threads", r.threads}}
              << '\n';
    return;
  }
  const bool cached = r.packed_origin == "mapped" || r.packed_origin == "moved";
  std::printf("%s, %d threads, loaded in %.2f s%s%s\n", r.isa.c_str(), r.threads, r.load_s,
              cached ? ", packed weights from the cache, " : "",
              cached ? r.packed_origin.c_str() : "");
  std::printf("prefill %8.1f tokens/s  (%.0f %% of the measured peak of %.2f Top/s)\n",
              r.prefill_tps, 100 * r.prefill_share_of_peak, r.peak_flops / 1e12);
  std::printf("decode  %8.1f tokens/s  (%.0f %% of what %.1f GB/s allow for %.0f MB a %s)\n",
              r.decode_tps, 100 * r.decode_share_of_memory_limit, r.memory_gbps,
              static_cast<double>(r.decode_bytes) / 1e6, o.bench.batch > 1 ? "step" : "token");
  if (o.bench.batch > 1) {
    std::printf("        %8.1f tokens/s for each of %d sequences\n", r.decode_tps / o.bench.batch,
                o.bench.batch);
  }
  std::printf("memory  %8.0f MB at most, %.0f MB of it keys and values\n",
              static_cast<double>(r.peak_resident_bytes) / 1e6,
              static_cast<double>(r.cache_bytes) / 1e6);
}

}  // namespace

void add_bench(CLI::App& program) {
  auto o = std::make_shared<Options>();
  CLI::App* verb =
      add_verb(program, "bench",
               tr("Speed of a model, against the limits of this machine", "测速，并与本机极限比较"),
               "zhiyin bench qwen2.5-coder-0.5b --prefill 512 --decode 64");
  add_model_flags(*verb, o->model, o->open);
  verb->get_option("MODEL")->required(false);  // --limits needs none
  verb->add_option("--prefill", o->bench.prefill, tr("Tokens of the prompt", "提示的词元数"));
  verb->add_option("--decode", o->bench.decode, tr("Tokens decoded after it", "之后解码的词元数"));
  verb->add_option("--context", o->bench.context,
                   tr("Tokens in the cache before the prompt", "提示之前缓存里已有的词元数"));
  verb->add_option("--batch", o->bench.batch, tr("Sequences decoded at once", "同时解码的序列数"));
  verb->add_option("--repeat", o->bench.repeat, tr("Runs; medians are shown", "次数；显示中位数"));
  verb->add_flag("--limits", o->limits, tr("Only what the machine can do at best", "只测本机极限"));
  verb->add_flag("--json", o->json, tr("Print JSON", "输出 JSON"));
  verb->callback([o] { run(*o); });
}

}  // namespace zhiyin::cli
