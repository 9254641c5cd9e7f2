#include "zhiyin/bench.h"

#include <algorithm>
#include <chrono>
#include <fstream>
#include <thread>

#include "api/model_impl.h"
#include "base/error.h"
#include "base/random.h"
#include "base/stopwatch.h"
#include "generate/passes.h"
#include "kernels/probe.h"

namespace zhiyin {
namespace {

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

// The sum of what `probe` gives on all threads at once, the best of three.
template <typename Probe>
double on_all_threads(int threads, const Probe& probe) {
  double best = 0;
  for (int round = 0; round < 3; ++round) {
    std::vector<double> results(static_cast<size_t>(threads));
    std::vector<std::thread> running;
    for (int t = 0; t < threads; ++t) {
      running.emplace_back([&, t] { results[static_cast<size_t>(t)] = probe(t); });
    }
    for (std::thread& thread : running) thread.join();
    double sum = 0;
    for (const double r : results) sum += r;
    best = std::max(best, sum);
  }
  return best;
}

double measure_memory(int threads) {
  // Larger than any cache.
  const size_t bytes = size_t{256} << 20;
  std::vector<std::vector<uint8_t>> buffers(static_cast<size_t>(threads),
                                            std::vector<uint8_t>(bytes, 1));
  return on_all_threads(threads, [&](int t) {
    const auto start = std::chrono::steady_clock::now();
    volatile uint64_t sink = probe_read(buffers[static_cast<size_t>(t)].data(), bytes);
    static_cast<void>(sink);
    return static_cast<double>(bytes) / seconds_since(start) / 1e9;
  });
}

int64_t weight_elements(const CausalLm& model) {
  int64_t elements = 0;
  for (const Weight& weight : model.frozen_matrices()) {
    if (weight.name() == "model.embed_tokens.weight" || weight.name() == "lm_head.weight") continue;
    elements += weight.rows() * weight.cols();
  }
  return elements;
}

// The sequences of a run: each holds its context, then a prompt, then what is decoded; a new run
// starts from the contexts.
class Sequences {
 public:
  Sequences(const CausalLm& model, Context& context, KvType type, const BenchOptions& options)
      : model_(model),
        options_(options),
        // A page more for each, as pages are shared by no two of them.
        cache_(
            context, model.kv_shape(), type,
            options.batch * (options.context + options.prefill + options.decode + kKvPageTokens)) {
    for (int i = 0; i < options.batch; ++i) {
      sequences_.push_back(cache_.add_sequence());
      if (options.context > 0) add(sequences_.back(), options.context);
    }
  }

  // Seconds that the first sequence's prompt takes.
  double prefill() {
    cache_.truncate(sequences_[0], options_.context);
    const auto start = std::chrono::steady_clock::now();
    add(sequences_[0], options_.prefill);
    const double seconds = seconds_since(start);
    // That of the others stays where it is.
    const int64_t kept = options_.context + options_.prefill;
    for (const int sequence : sequences_) {
      if (cache_.length(sequence) >= kept) {
        cache_.truncate(sequence, kept);
      } else {
        add(sequence, options_.prefill);
      }
    }
    return seconds;
  }
  // Seconds that all tokens of all sequences take.
  double decode() {
    std::vector<NextToken> next(sequences_.size());
    const auto start = std::chrono::steady_clock::now();
    for (int64_t n = 0; n < options_.decode; ++n) {
      for (size_t i = 0; i < next.size(); ++i) next[i] = {sequences_[i], random_id()};
      decode_sequences(model_, cache_, next);
    }
    return seconds_since(start);
  }

  int64_t cache_bytes() const { return cache_.bytes(); }

 private:
  int32_t random_id() {
    return static_cast<int32_t>(random_.below(static_cast<uint64_t>(model_.config().vocab_size)));
  }
  void add(int sequence, int64_t count) {
    std::vector<int32_t> ids(static_cast<size_t>(count));
    for (int32_t& id : ids) id = random_id();
    prefill_sequence(model_, cache_, sequence, ids);
  }

  const CausalLm& model_;
  const BenchOptions& options_;
  KvCache cache_;
  std::vector<int> sequences_;
  Random random_{1};
};

int64_t peak_resident_bytes() {
  std::ifstream file("/proc/self/status");
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with("VmHWM:")) return std::stoll(line.substr(6)) * 1024;
  }
  return 0;
}

}  // namespace

MachineLimits measure_limits(const OpenOptions& open) {
  const KernelTable& kernels = kernels_of(open);
  Context context({.threads = open.threads, .kernels = &kernels});
  const Isa isa = kernels.isa;
  MachineLimits limits;
  limits.threads = context.pool().threads();
  limits.isa = kernels.name;
  for (int threads = 1; threads < limits.threads; threads *= 2) {
    limits.memory_gbps_by_threads.emplace_back(threads, measure_memory(threads));
  }
  limits.memory_gbps = measure_memory(limits.threads);
  limits.memory_gbps_by_threads.emplace_back(limits.threads, limits.memory_gbps);
  const auto peak = [&](double (*probe)(Isa)) {
    return on_all_threads(limits.threads, [&](int) { return probe(isa); });
  };
  limits.f32_flops = peak(probe_f32_peak);
  limits.bf16_flops = peak(probe_bf16_peak);
  limits.int8_ops = peak(probe_int8_peak);
  return limits;
}

BenchResult bench(const std::string& path_or_name, const OpenOptions& open,
                  const BenchOptions& options,
                  const std::function<void(const std::string&)>& on_stage) {
  check(options.prefill > 0 && options.decode > 0 && options.repeat > 0 && options.batch > 0,
        ErrorCode::kUsage, "bench: --prefill, --decode, --batch and --repeat must be at least 1");
  check(options.context >= 0, ErrorCode::kUsage, "bench: --context ", options.context,
        " is negative");
  BenchResult result;
  if (on_stage) on_stage("load");
  const auto load_start = std::chrono::steady_clock::now();
  Model model = Model::open(path_or_name, open);
  model.load();
  result.load_s = seconds_since(load_start);
  result.packed_origin = model.packed_origin();
  model.finish_cache(nullptr);  // or its writer would be measured as well
  Model::Impl& impl = model.impl();
  if (impl.packed_cache != nullptr) impl.packed_cache->settle();
  const CausalLm& lm = impl.need_causal_lm();
  result.threads = impl.context->pool().threads();
  result.isa = impl.context->kernels().name;

  if (options.context > 0 && on_stage) on_stage("context");
  Sequences sequences(lm, *impl.context, impl.cache_type(), options);
  std::vector<double> prefills, decodes;
  for (int run = 0; run < options.repeat + 1; ++run) {
    if (on_stage)
      on_stage(run == 0 ? std::string("warm up") : cat("run ", run, " of ", options.repeat));
    const double prefill_s = sequences.prefill(), decode_s = sequences.decode();
    if (run == 0) continue;
    prefills.push_back(static_cast<double>(options.prefill) / prefill_s);
    decodes.push_back(static_cast<double>(options.decode * options.batch) / decode_s);
  }
  result.prefill_tps = median(prefills);
  result.decode_tps = median(decodes);
  result.cache_bytes = sequences.cache_bytes();
  result.peak_resident_bytes = peak_resident_bytes();

  if (on_stage) on_stage("limits of the machine");
  result.memory_gbps = measure_memory(result.threads);
  const Isa isa = impl.context->kernels().isa;
  const bool bf16 = impl.context->kernels().prefill_in_bf16;
  result.peak_flops = on_all_threads(result.threads, [&](int) {
    if (impl.options.exact) return probe_f32_peak(isa);
    return bf16 ? probe_bf16_peak(isa) : probe_int8_peak(isa);
  });
  result.decode_bytes =
      weight_bytes(lm) + kv_bytes_per_token(lm.kv_shape(), impl.cache_type()) * options.batch *
                             (options.context + options.prefill + options.decode / 2);
  result.decode_share_of_memory_limit = result.decode_tps / options.batch *
                                        static_cast<double>(result.decode_bytes) / 1e9 /
                                        result.memory_gbps;
  if (result.peak_flops > 0) {
    result.prefill_share_of_peak =
        result.prefill_tps * 2 * static_cast<double>(weight_elements(lm)) / result.peak_flops;
  }
  return result;
}

}  // namespace zhiyin
