#include "export/gguf_export.h"

#include <algorithm>
#include <filesystem>
#include <vector>

#include "base/error.h"
#include "base/nearest.h"
#include "io/gguf.h"
#include "io/lora_file.h"
#include "io/tensor_names.h"

namespace zhiyin {
namespace {

// What becomes of one tensor.
struct Step {
  const TensorEntry* tensor;  // Hugging Face name
  std::string gguf_name;
  Format format;
  const LoraFactors* factors = nullptr;
};

class GgufModelWriter {
 public:
  GgufModelWriter(Context& context, const GgufExport& job, const std::string& path)
      : context_(context), job_(job), base_(*job.base), writer_(path) {
    check(base_.gguf.has_value() && base_.config.has_value(), ErrorCode::kUnsupported, base_.path,
          ": only a GGUF can be exported as GGUF so far; this is a folder");
    architecture_ = base_.gguf->architecture();
    if (job.adapter != nullptr) {
      adapter_ = *job.adapter;
      set_rope_pairs(adapter_, base_.config->rope.adjacent, base_.config->head_dim);
    }
  }

  GgufExportResult run() {
    plan();
    write_metadata();
    for (const Step& step : steps_) {
      writer_.add_tensor(step.gguf_name, step.format, step.tensor->shape);
      result_.bytes += row_bytes(step.format, step.tensor->shape.back()) *
                       (step.tensor->element_count() / step.tensor->shape.back());
    }
    writer_.start();
    int64_t done = 0, total = 0;
    for (const Step& step : steps_) total += static_cast<int64_t>(step.tensor->bytes);
    for (const Step& step : steps_) {
      write_tensor(step);
      done += static_cast<int64_t>(step.tensor->bytes);
      if (job_.on_progress) job_.on_progress(done, total);
    }
    writer_.finish();
    return result_;
  }

 private:
  void plan() {
    std::vector<MixTensor> mix_tensors;
    for (const TensorEntry& tensor : base_.tensors) {
      const auto name = gguf_tensor_name(architecture_, tensor.name);
      steps_.push_back({&tensor, name.value_or(tensor.name), tensor.required_format()});
    }
    for (const Step& step : steps_) {
      mix_tensors.push_back(
          {step.gguf_name, step.tensor->shape.back(), static_cast<int>(step.tensor->shape.size())});
    }
    const ModelConfig& c = *base_.config;
    const MixModel model{.layers = static_cast<int>(c.layers),
                         .heads = static_cast<int>(c.heads),
                         .kv_heads = static_cast<int>(c.kv_heads)};
    const std::vector<Format> formats = choose_mix(job_.mix, mix_tensors, model);
    for (size_t i = 0; i < steps_.size(); ++i) steps_[i].format = formats[i];
    assign_factors();
  }

  void assign_factors() {
    std::vector<std::string> paths;
    for (Step& step : steps_) {
      constexpr std::string_view kWeight = ".weight";
      std::string path = step.tensor->name;
      if (!path.ends_with(kWeight)) continue;
      path.resize(path.size() - kWeight.size());
      paths.push_back(path);
      const auto found = adapter_.modules.find(path);
      if (found != adapter_.modules.end()) step.factors = &found->second;
    }
    for (const auto& [path, factors] : adapter_.modules) {
      check(std::find(paths.begin(), paths.end(), path) != paths.end(), ErrorCode::kUnsupported,
            "export: the adapter's layer ", path, " is not in ", base_.path, "; the nearest is ",
            nearest(path, paths));
    }
  }

  void write_metadata() {
    for (const GgufField& field : base_.gguf->metadata().fields()) {
      // A split base becomes one file.
      if (field.key.starts_with("split.")) continue;
      writer_.set(field);
    }
    if (!job_.name.empty()) writer_.set("general.name", job_.name);
    if (!job_.chat_template.empty()) {
      writer_.set("tokenizer.chat_template", job_.chat_template);
    }
    writer_.set("general.file_type", mix_info(job_.mix).file_type);
    writer_.set("general.quantization_version", GgufWriter::kQuantizationVersion);
  }

  void write_tensor(const Step& step) {
    const TensorEntry& tensor = *step.tensor;
    if (step.factors == nullptr && step.format == tensor.required_format()) {
      writer_.write(step.gguf_name, tensor.data, tensor.bytes);
      ++result_.copied;
      return;
    }
    ++result_.packed;
    const int64_t cols = tensor.shape.back();
    const int64_t rows = tensor.element_count() / cols;
    const FormatInfo& from = format_info(tensor.required_format());
    const FormatInfo& to = format_info(step.format);
    const int64_t from_bytes = row_bytes(from.format, cols), to_bytes = row_bytes(to.format, cols);
    const float scale = step.factors != nullptr ? adapter_.scale(*step.factors) : 0;
    // A band of rows at a time bounds memory.
    const int64_t band = std::max<int64_t>(1, (int64_t{8} << 20) / cols);
    std::vector<uint8_t> packed;
    for (int64_t begin = 0; begin < rows; begin += band) {
      const int64_t end = std::min(rows, begin + band);
      packed.resize(static_cast<size_t>((end - begin) * to_bytes));
      context_.pool().parallel_for(end - begin, 4, [&](int64_t first, int64_t last) {
        std::vector<float> row(static_cast<size_t>(cols));
        for (int64_t i = first; i < last; ++i) {
          context_.kernels().unpack(from.format, tensor.data + (begin + i) * from_bytes, row.data(),
                                    cols);
          if (step.factors != nullptr) add_factors(*step.factors, begin + i, scale, row.data());
          to.pack(row.data(), packed.data() + i * to_bytes, cols, nullptr);
        }
      });
      writer_.write(step.gguf_name, packed.data(), packed.size());
    }
  }

  // row += scale * b[r] . a
  void add_factors(const LoraFactors& f, int64_t r, float scale, float* row) const {
    for (int64_t k = 0; k < f.rank; ++k) {
      context_.kernels().axpy(scale * f.b[static_cast<size_t>(r * f.rank + k)],
                              f.a.data() + k * f.in, row, f.in);
    }
  }

  Context& context_;
  const GgufExport& job_;
  const ModelFiles& base_;
  GgufWriter writer_;
  std::string architecture_;
  LoraAdapter adapter_;
  std::vector<Step> steps_;
  GgufExportResult result_;
};

}  // namespace

GgufExportResult write_gguf_model(Context& context, const GgufExport& job,
                                  const std::string& path) {
  return GgufModelWriter(context, job, path).run();
}

}  // namespace zhiyin
