#include "zhiyin/bench.h"

#include <algorithm>
#include <chrono>
#include <thread>

#include "api/model_impl.h"
#include "base/error.h"
#include "base/random.h"
#include "generate/session.h"
#include "kernels/probe.h"

namespace zhiyin {
namespace {

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

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

// Bytes of weights that a decoded token reads: every matrix once, of the embedding one row.
int64_t weight_bytes(const CausalLm& model) {
  int64_t bytes = 0;
  for (const Weight& weight : model.frozen_matrices()) {
    const bool only_embedding =
        weight.name() == "model.embed_tokens.weight" && !model.config().tie_embeddings;
    if (only_embedding) continue;
    const PackedWeight* packed = weight.packed();
    bytes += packed != nullptr ? (weight.rows() + kPackRows - 1) / kPackRows * packed->group_bytes
                               : weight.bytes();
  }
  return bytes;
}

int64_t weight_elements(const CausalLm& model) {
  int64_t elements = 0;
  for (const Weight& weight : model.frozen_matrices()) {
    if (weight.name() == "model.embed_tokens.weight" || weight.name() == "lm_head.weight") continue;
    elements += weight.rows() * weight.cols();
  }
  return elements;
}

}  // namespace

MachineLimits measure_limits(const OpenOptions& open) {
  const KernelTable& kernels = kernels_of(open);
  Context context({.threads = open.threads, .kernels = &kernels});
  const Isa isa = kernels.isa;
  MachineLimits limits;
  limits.threads = context.pool().threads();
  limits.isa = kernels.name;
  limits.memory_gbps = measure_memory(limits.threads);
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
  check(options.prefill > 0 && options.decode > 0 && options.repeat > 0, ErrorCode::kUsage,
        "bench: --prefill, --decode and --repeat must be at least 1");
  BenchResult result;
  std::vector<double> loads, prefills, decodes;
  if (on_stage) on_stage("load");
  const auto load_start = std::chrono::steady_clock::now();
  Model model = Model::open(path_or_name, open);
  model.load();
  result.load_s = seconds_since(load_start);
  Model::Impl& impl = model.impl();
  CausalLm& lm = impl.need_causal_lm();
  result.threads = impl.context->pool().threads();
  result.isa = impl.context->kernels().name;

  Random random(1);
  const auto vocab = static_cast<uint64_t>(lm.config().vocab_size);
  const auto random_ids = [&](int64_t n) {
    std::vector<int32_t> ids;
    for (int64_t i = 0; i < n; ++i) ids.push_back(static_cast<int32_t>(random.below(vocab)));
    return ids;
  };
  for (int run = 0; run < options.repeat + 1; ++run) {
    if (on_stage)
      on_stage(run == 0 ? std::string("warm up") : cat("run ", run, " of ", options.repeat));
    Session session(lm, *impl.context, impl.cache_type(), options.prefill + options.decode);
    std::vector<int32_t> ids = random_ids(options.prefill);
    auto start = std::chrono::steady_clock::now();
    session.prefill(ids);
    const double prefill_s = seconds_since(start);
    start = std::chrono::steady_clock::now();
    for (const int32_t id : random_ids(options.decode)) {
      ids.push_back(id);
      session.prefill(ids);
    }
    if (run == 0) continue;
    prefills.push_back(static_cast<double>(options.prefill) / prefill_s);
    decodes.push_back(static_cast<double>(options.decode) / seconds_since(start));
  }
  result.prefill_tps = median(prefills);
  result.decode_tps = median(decodes);

  if (on_stage) on_stage("limits of the machine");
  result.memory_gbps = measure_memory(result.threads);
  const Isa isa = impl.context->kernels().isa;
  const bool bf16 = impl.context->kernels().prefill_in_bf16;
  result.peak_flops = on_all_threads(result.threads, [&](int) {
    if (impl.options.exact) return probe_f32_peak(isa);
    return bf16 ? probe_bf16_peak(isa) : probe_int8_peak(isa);
  });
  result.decode_bytes = weight_bytes(lm) + kv_bytes_per_token(lm.kv_shape(), impl.cache_type()) *
                                               (options.prefill + options.decode / 2);
  result.decode_share_of_memory_limit =
      result.decode_tps * static_cast<double>(result.decode_bytes) / 1e9 / result.memory_gbps;
  if (result.peak_flops > 0) {
    result.prefill_share_of_peak =
        result.prefill_tps * 2 * static_cast<double>(weight_elements(lm)) / result.peak_flops;
  }
  return result;
}

}  // namespace zhiyin
