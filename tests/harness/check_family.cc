#include "harness/check_family.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <sstream>

#include "base/file.h"
#include "harness/check_op.h"
#include "harness/paths.h"
#include "io/gguf.h"
#include "io/gguf_config.h"
#include "io/load_weights.h"
#include "io/model_files.h"
#include "io/safetensors.h"
#include "io/tensor_names.h"
#include "models/family.h"

namespace zhiyin::testing {
namespace {

constexpr float kLogitTolerance = 1e-4f;

struct Golden {
  std::vector<int32_t> ids;
  std::vector<std::vector<float>> hidden;
  std::vector<float> logits;
};

Golden read_golden(const std::string& folder) {
  Golden golden;
  std::istringstream ids(read_file(folder + "/ids.txt"));
  for (int32_t id = 0; ids >> id;) golden.ids.push_back(id);
  const SafetensorsFile file = open_safetensors(folder + "/golden.safetensors");
  golden.logits = to_floats(*find_tensor(file.tensors, "logits"));
  for (int k = 0;; ++k) {
    const TensorEntry* entry = find_tensor(file.tensors, "hidden." + std::to_string(k));
    if (entry == nullptr) break;
    golden.hidden.push_back(to_floats(*entry));
  }
  return golden;
}

float largest_difference(const std::vector<float>& a, const std::vector<float>& b) {
  EXPECT_EQ(a.size(), b.size());
  float top = 0;
  for (size_t i = 0; i < std::min(a.size(), b.size()); ++i) {
    top = std::max(top, std::fabs(a[i] - b[i]));
  }
  return top;
}

// A model in a context of its own.
struct Loaded {
  Context context;
  ModelFiles files;
  std::vector<std::string> unused;
  std::unique_ptr<CausalLm> model;

  Loaded(const std::string& path, const ContextOptions& options)
      : context(options), files(open_model_files(path, "")) {
    model = make_causal_lm(*files.config, load_weights(context, files), &unused);
  }

  std::vector<float> logits(const std::vector<int32_t>& ids) {
    Batch batch;
    batch.add(ids);
    return model->logits(model->forward(batch, {})).to_vector();
  }
};

void check_golden(const std::string& folder, const Golden& golden) {
  for (const KernelTable* table : kernel_tables()) {
    Loaded loaded(folder + "/model",
                  {.threads = 2, .kernels = table, .precision = Precision::kExact});
    EXPECT_THAT(loaded.unused, ::testing::IsEmpty());
    Batch batch;
    batch.add(golden.ids);
    std::vector<std::vector<float>> hidden;
    const Tensor last = loaded.model->forward(
        batch, {.cache = nullptr,
                .on_hidden = [&](int64_t, const Tensor& h) { hidden.push_back(h.to_vector()); }});
    ASSERT_EQ(hidden.size(), golden.hidden.size());
    for (size_t k = 0; k < hidden.size(); ++k) {
      EXPECT_LT(largest_difference(hidden[k], golden.hidden[k]), kLogitTolerance)
          << "hidden state " << k << " on " << table->name;
    }
    EXPECT_LT(largest_difference(loaded.model->logits(last).to_vector(), golden.logits),
              kLogitTolerance)
        << "logits on " << table->name;
  }
}

// The tokens in several pieces, alone and beside another sequence, must give the logits of one go.
void check_cache(const std::string& folder, const Golden& golden) {
  struct Case {
    KvType type;
    float tolerance;
  };
  for (const Case& c : {Case{KvType::kF32, kLogitTolerance}, Case{KvType::kF16, 2e-2f},
                        Case{KvType::kQ8_0, 2e-1f}}) {
    Loaded loaded(folder + "/model", {.threads = 2, .precision = Precision::kExact});
    const KvShape shape = loaded.model->kv_shape();
    if (c.type == KvType::kQ8_0 && shape.head_dim % 32 != 0) continue;
    const int64_t vocabulary = loaded.model->config().vocab_size;
    KvCache cache(loaded.context, shape, c.type, 4096);
    const int steps = cache.add_sequence(), halves = cache.add_sequence();
    std::vector<float> step_logits, half_logits;
    const auto n = static_cast<int64_t>(golden.ids.size());
    const std::span<const int32_t> ids(golden.ids);
    for (int64_t i = 0; i < n; ++i) {
      // One token of the first sequence; twice, beside it, half of the second.
      Batch batch;
      batch.add(ids.subspan(static_cast<size_t>(i), 1), i, steps);
      const int64_t half = n / 2;
      const bool first = i == 3, second = i == n / 2 + 1;
      if (first) batch.add(ids.subspan(0, static_cast<size_t>(half)), 0, halves);
      if (second) batch.add(ids.subspan(static_cast<size_t>(half)), half, halves);
      const std::vector<float> out =
          loaded.model->logits(loaded.model->forward(batch, {.cache = &cache, .on_hidden = {}}))
              .to_vector();
      step_logits.insert(step_logits.end(), out.begin(), out.begin() + vocabulary);
      half_logits.insert(half_logits.end(), out.begin() + vocabulary, out.end());
    }
    EXPECT_LT(largest_difference(step_logits, golden.logits), c.tolerance) << "step by step";
    EXPECT_LT(largest_difference(half_logits, golden.logits), c.tolerance) << "in halves";

    // A fork goes on as the original does.
    const int fork = cache.fork(steps, n - 1);
    Batch batch;
    batch.add(ids.subspan(static_cast<size_t>(n - 1)), n - 1, fork);
    const std::vector<float> last =
        loaded.model->logits(loaded.model->forward(batch, {.cache = &cache, .on_hidden = {}}))
            .to_vector();
    EXPECT_LT(largest_difference(last, {golden.logits.end() - vocabulary, golden.logits.end()}),
              c.tolerance)
        << "after a fork";
  }
}

// The model written as GGUF with every matrix that allows it in the given format.
void write_gguf(const ModelFiles& files, const std::string& path, Format format) {
  const ModelConfig& c = *files.config;
  const std::string arch = c.model_type;
  GgufWriter writer(path);
  set_gguf_config(writer, c, files.path);
  std::vector<std::pair<const TensorEntry*, Format>> plan;
  for (const TensorEntry& tensor : files.tensors) {
    const bool matrix = tensor.shape.size() == 2;
    const bool fits = matrix && tensor.shape[1] % format_info(format).block == 0;
    const Format chosen = fits ? format : Format::kF32;
    writer.add_tensor(gguf_tensor_name(arch, tensor.name).value(), chosen, tensor.shape);
    plan.emplace_back(&tensor, chosen);
  }
  const std::vector<float> freq_factors = rope_frequency_factors(c);
  if (!freq_factors.empty()) {
    writer.add_tensor("rope_freqs.weight", Format::kF32,
                      {static_cast<int64_t>(freq_factors.size())});
  }
  writer.start();
  for (const auto& [tensor, chosen] : plan) {
    std::vector<float> values = to_floats(*tensor);
    const int64_t cols = tensor->shape.back();
    if (gguf_layout(arch, tensor->name) == GgufLayout::kRopePairs) {
      values = to_rope_pairs(values, tensor->shape.size() == 2 ? cols : 1, c.head_dim);
    }
    std::vector<uint8_t> row(static_cast<size_t>(row_bytes(chosen, cols)));
    for (size_t at = 0; at < values.size(); at += static_cast<size_t>(cols)) {
      format_info(chosen).pack(values.data() + at, row.data(), cols, nullptr);
      writer.write(gguf_tensor_name(arch, tensor->name).value(), row.data(), row.size());
    }
  }
  if (!freq_factors.empty()) {
    writer.write("rope_freqs.weight", freq_factors.data(), freq_factors.size() * sizeof(float));
  }
  writer.finish();
}

// Mean over tokens of the divergence of the softmax of b from that of a.
double mean_divergence(const std::vector<float>& a, const std::vector<float>& b, int64_t width) {
  double total = 0;
  for (size_t row = 0; row < a.size(); row += static_cast<size_t>(width)) {
    double za = 0, zb = 0;
    for (int64_t i = 0; i < width; ++i) {
      za += std::exp(static_cast<double>(a[row + static_cast<size_t>(i)]));
      zb += std::exp(static_cast<double>(b[row + static_cast<size_t>(i)]));
    }
    for (int64_t i = 0; i < width; ++i) {
      const double x = static_cast<double>(a[row + static_cast<size_t>(i)]) - std::log(za);
      const double y = static_cast<double>(b[row + static_cast<size_t>(i)]) - std::log(zb);
      total += std::exp(x) * (x - y);
    }
  }
  return total / static_cast<double>(a.size() / static_cast<size_t>(width));
}

void check_gguf(const std::string& folder, const Golden& golden) {
  const TemporaryFolder temporary;
  const ModelFiles files = open_model_files(folder + "/model", "");
  Loaded original(folder + "/model", {.threads = 2, .precision = Precision::kExact});
  const std::vector<float> wanted = original.logits(golden.ids);
  for (const FormatInfo& info : all_formats()) {
    const std::string path = temporary / (std::string(info.name) + ".gguf");
    write_gguf(files, path, info.format);
    for (const Precision precision : {Precision::kExact, Precision::kFast}) {
      Loaded loaded(path, {.threads = 2, .precision = precision});
      EXPECT_THAT(loaded.unused, ::testing::IsEmpty()) << info.name;
      for (const Weight& weight : loaded.model->frozen_matrices()) weight.prepare(loaded.context);
      const std::vector<float> got = loaded.logits(golden.ids);
      if (info.format == Format::kF32 && precision == Precision::kExact) {
        // Identical but for the order of the pairs in rope and in q . k.
        EXPECT_LT(largest_difference(got, wanted), 1e-5f) << "GGUF against safetensors";
      }
      EXPECT_LT(
          mean_divergence(wanted, got, loaded.model->config().vocab_size),
          4.0 * static_cast<double>(info.error_bound) * static_cast<double>(info.error_bound) +
              1e-4)
          << info.name;
    }
  }
}

}  // namespace

void check_family(const std::string& folder) {
  SCOPED_TRACE(folder);
  const Golden golden = read_golden(folder);
  check_golden(folder, golden);
  check_cache(folder, golden);
  check_gguf(folder, golden);
}

}  // namespace zhiyin::testing
