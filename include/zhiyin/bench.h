// Measuring a model on this machine against what the machine can do.
#pragma once

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "zhiyin/model.h"

namespace zhiyin {

struct BenchOptions {
  int64_t context = 0;    // tokens in the cache before the prompt
  int64_t prefill = 512;  // tokens of the prompt
  int64_t decode = 64;    // tokens after it
  int batch = 1;          // sequences decoded at once, each after its own context and prompt
  int repeat = 5;         // medians of this many runs
};

struct BenchResult {
  // Tokens a second; decode's of all sequences together.
  double prefill_tps = 0, decode_tps = 0, load_s = 0;
  int64_t decode_bytes = 0;         // weights and cache read for a step of decoding, on average
  int64_t cache_bytes = 0;          // of the keys and values at the end
  int64_t peak_resident_bytes = 0;  // of the process; 0 where the system does not say
  double memory_gbps = 0;           // measured, all threads reading
  double decode_share_of_memory_limit = 0;
  double peak_flops = 0;  // measured, of the instructions that prefill uses
  double prefill_share_of_peak = 0;
  std::string isa;
  std::string packed_origin;  // see Model
  int threads = 0;
};

// What the machine can do at best: all threads at once, the best of three tries.
struct MachineLimits {
  double memory_gbps = 0;  // reading
  // Threads, and what they read together: 1, 2, 4 and so on up to all. Decoding gains nothing from
  // more threads than saturate the memory.
  std::vector<std::pair<int, double>> memory_gbps_by_threads;
  double f32_flops = 0, bf16_flops = 0, int8_ops = 0;  // 0 where there is no such instruction
  std::string isa;
  int threads = 0;
};
MachineLimits measure_limits(const OpenOptions& open);

BenchResult bench(const std::string& path_or_name, const OpenOptions& open,
                  const BenchOptions& options,
                  const std::function<void(const std::string& stage)>& on_stage);

}  // namespace zhiyin
