#include "export/gguf_export.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <memory>
#include <mutex>

#include "base/error.h"
#include "export/gguf_metadata.h"
#include "export/merged_model.h"
#include "io/gguf.h"
#include "io/gguf_config.h"
#include "io/tensor_names.h"

namespace zhiyin {
namespace {

constexpr const char* kRopeFactors = "rope_freqs.weight";

// What becomes of one tensor.
struct Step {
  const MergedTensor* tensor;
  std::string gguf_name;
  Format format;
  const float* importance = nullptr;  // [matrices, cols]
  int64_t matrices = 1;               // experts

  bool is_copied() const {
    return tensor->is_plain() && format == tensor->tensor->required_format();
  }
  const float* importance_of_row(int64_t row) const {
    if (importance == nullptr) return nullptr;
    return importance + row / (tensor->rows / matrices) * tensor->cols;
  }
  int64_t bytes() const { return row_bytes(format, tensor->cols) * tensor->rows; }
};

class GgufModel {
 public:
  GgufModel(Context& context, const GgufExport& job)
      : context_(context),
        job_(job),
        base_(*job.base),
        architecture_(base_.gguf ? base_.gguf->architecture() : gguf_architecture(*base_.config)),
        merged_(base_, job.adapter, base_.gguf ? base_.config->rope.adjacent : true) {
    plan();
    if (job.importance != nullptr) assign_importance();
  }

  GgufExportResult write(const std::string& path) {
    GgufWriter writer(path);
    write_gguf_metadata(writer, job_);
    const std::vector<float> rope =
        base_.gguf ? std::vector<float>{} : rope_frequency_factors(*base_.config);
    if (!rope.empty()) {
      writer.add_tensor(kRopeFactors, Format::kF32, {static_cast<int64_t>(rope.size())});
      result_.bytes += static_cast<int64_t>(rope.size() * sizeof(float));
    }
    for (const Step& step : steps_) {
      writer.add_tensor(step.gguf_name, step.format, step.tensor->tensor->shape);
      result_.bytes += step.bytes();
    }
    writer.start();
    if (!rope.empty()) writer.write(kRopeFactors, rope.data(), rope.size() * sizeof(float));
    for_each_step([&](const Step& step) { write_tensor(writer, step); });
    writer.finish();
    return result_;
  }

  std::vector<TensorPreview> preview() {
    std::vector<TensorPreview> all;
    for_each_step([&](const Step& step) { all.push_back(preview_of(step)); });
    return all;
  }

 private:
  void plan() {
    std::vector<MixTensor> mix_tensors;
    for (const MergedTensor& tensor : merged_.tensors()) {
      const auto name = gguf_tensor_name(architecture_, tensor.tensor->name);
      check(name.has_value() || base_.gguf.has_value(), ErrorCode::kUnsupported, base_.path,
            ": the tensor ", tensor.tensor->name, " has no name in a GGUF of ", architecture_);
      steps_.push_back({&tensor, name.value_or(tensor.tensor->name), {}});
    }
    for (const Step& step : steps_) {
      const std::vector<int64_t>& shape = step.tensor->tensor->shape;
      mix_tensors.push_back(
          {step.gguf_name, shape.empty() ? 1 : shape.back(), static_cast<int>(shape.size())});
    }
    const ModelConfig& c = *base_.config;
    const MixModel model{.layers = static_cast<int>(c.layers),
                         .heads = static_cast<int>(c.heads),
                         .kv_heads = static_cast<int>(c.kv_heads),
                         .experts = static_cast<int>(c.number("num_experts", 0)),
                         .has_importance = job_.importance != nullptr};
    const std::vector<Format> formats = choose_mix(job_.mix, mix_tensors, model);
    for (size_t i = 0; i < steps_.size(); ++i) steps_[i].format = formats[i];
  }

  void assign_importance() {
    for (Step& step : steps_) {
      if (format_info(step.format).block == 1) continue;
      const auto found = job_.importance->find(step.gguf_name);
      if (found == job_.importance->end()) {
        result_.without_importance.push_back(step.gguf_name);
        continue;
      }
      const std::vector<int64_t>& shape = step.tensor->tensor->shape;
      const int64_t matrices = shape.size() == 3 ? shape[0] : 1;
      const auto wanted = static_cast<size_t>(step.tensor->cols * matrices);
      const bool fits = found->second.size() == wanted;
      // llama.cpp lets this one pass: its importance may be that of the tied head.
      if (!fits && step.gguf_name == "token_embd.weight") continue;
      check(fits, ErrorCode::kUnsupported, "the importance of ", step.gguf_name, " has ",
            found->second.size(), " values, the tensor ", wanted,
            " columns; the importance matrix was made with another model");
      step.importance = found->second.data();
      step.matrices = matrices;
    }
    check(result_.without_importance.size() < steps_.size(), ErrorCode::kUnsupported,
          "the importance matrix has no tensor of this model");
  }

  template <typename Visit>
  void for_each_step(Visit visit) {
    int64_t done = 0, total = 0;
    for (const Step& step : steps_) total += static_cast<int64_t>(step.tensor->tensor->bytes);
    for (const Step& step : steps_) {
      visit(step);
      done += static_cast<int64_t>(step.tensor->tensor->bytes);
      if (job_.on_progress) job_.on_progress(done, total);
    }
  }

  // Calls visit(row, floats) for the rows [begin, end), on all threads.
  template <typename Visit>
  void for_rows(const Step& step, int64_t begin, int64_t end, Visit visit) {
    context_.pool().parallel_for(end - begin, 4, [&](int64_t first, int64_t last) {
      std::vector<float> row(static_cast<size_t>(step.tensor->cols));
      for (int64_t i = begin + first; i < begin + last; ++i) {
        merged_.read_row(context_.kernels(), *step.tensor, i, row.data());
        visit(i, row.data());
      }
    });
  }

  void write_tensor(GgufWriter& writer, const Step& step) {
    if (step.is_copied()) {
      writer.write(step.gguf_name, step.tensor->tensor->data, step.tensor->tensor->bytes);
      ++result_.copied;
      return;
    }
    ++result_.packed;
    const FormatInfo& to = format_info(step.format);
    const int64_t cols = step.tensor->cols, to_bytes = row_bytes(to.format, cols);
    if (const OutputRounding* rounding = rounding_of(step)) {
      write_refined(writer, step, *rounding);
      return;
    }
    // A band of rows at a time bounds memory.
    const int64_t band = std::max<int64_t>(1, (int64_t{8} << 20) / cols);
    std::vector<uint8_t> packed;
    for (int64_t begin = 0; begin < step.tensor->rows; begin += band) {
      const int64_t end = std::min(step.tensor->rows, begin + band);
      packed.resize(static_cast<size_t>((end - begin) * to_bytes));
      for_rows(step, begin, end, [&](int64_t row, const float* values) {
        to.pack(values, packed.data() + (row - begin) * to_bytes, cols,
                step.importance_of_row(row));
      });
      writer.write(step.gguf_name, packed.data(), packed.size());
    }
  }

  void write_refined(GgufWriter& writer, const Step& step, const OutputRounding& rounding) {
    ++result_.refined;
    const FormatInfo& to = format_info(step.format);
    const int64_t cols = step.tensor->cols, to_bytes = row_bytes(to.format, cols);
    constexpr int64_t kBand = 512;
    std::vector<uint8_t> packed;
    std::vector<float> wanted;
    for (int64_t begin = 0; begin < step.tensor->rows; begin += kBand) {
      const int64_t rows = std::min(step.tensor->rows - begin, kBand);
      packed.resize(static_cast<size_t>(rows * to_bytes));
      wanted.resize(static_cast<size_t>(rows * cols));
      for_rows(step, begin, begin + rows, [&](int64_t row, const float* values) {
        const int64_t at = row - begin;
        std::copy_n(values, cols, wanted.data() + at * cols);
        if (keeps_grid(step)) {
          std::copy_n(step.tensor->tensor->data + row * to_bytes, to_bytes,
                      packed.data() + at * to_bytes);
        } else {
          to.pack(values, packed.data() + at * to_bytes, cols, step.importance_of_row(row));
        }
      });
      rounding.refine(to.format, packed.data(), wanted.data(), rows);
      writer.write(step.gguf_name, packed.data(), packed.size());
    }
  }

  // The scales of the base serve the merged matrix best: the adapter was trained beside them.
  static bool keeps_grid(const Step& step) {
    return !step.tensor->moves_rows && step.format == step.tensor->tensor->required_format();
  }

  // nullptr where a matrix is rounded weight by weight. Layers of one input share a rounding.
  const OutputRounding* rounding_of(const Step& step) {
    if (job_.inputs == nullptr || step.tensor->factors == nullptr) return nullptr;
    if (!has_even_codes(step.format)) return nullptr;
    std::string_view path = step.tensor->tensor->name;
    path.remove_suffix(std::string_view(".weight").size());
    const auto found = job_.inputs->find(path);
    if (found == job_.inputs->end()) return nullptr;
    const std::string layer = step.gguf_name.substr(0, step.gguf_name.find('.', 4));
    if (layer != rounding_layer_) roundings_.clear();
    rounding_layer_ = layer;
    std::unique_ptr<OutputRounding>& rounding = roundings_[found->second.data()];
    if (rounding == nullptr) {
      rounding = std::make_unique<OutputRounding>(context_, found->second);
    }
    return rounding.get();
  }

  TensorPreview preview_of(const Step& step) {
    const TensorEntry& tensor = *step.tensor->tensor;
    TensorPreview preview{.name = step.gguf_name,
                          .shape = tensor.shape,
                          .from = tensor.required_format(),
                          .to = step.format,
                          .bytes_before = static_cast<int64_t>(tensor.bytes),
                          .bytes = step.bytes(),
                          .elements = tensor.element_count()};
    if (step.is_copied() || step.format == Format::kF32) return preview;
    const FormatInfo& to = format_info(step.format);
    const int64_t cols = step.tensor->cols;
    std::mutex mutex;
    for_rows(step, 0, step.tensor->rows, [&](int64_t row, const float* values) {
      std::vector<uint8_t> packed(static_cast<size_t>(row_bytes(to.format, cols)));
      std::vector<float> back(static_cast<size_t>(cols));
      to.pack(values, packed.data(), cols, step.importance_of_row(row));
      context_.kernels().unpack(to.format, packed.data(), back.data(), cols);
      double row_errors = 0, row_squares = 0, row_largest = 0;
      for (int64_t i = 0; i < cols; ++i) {
        const double value = static_cast<double>(values[i]);
        const double difference = static_cast<double>(back[static_cast<size_t>(i)]) - value;
        row_errors += difference * difference;
        row_squares += value * value;
        row_largest = std::max(row_largest, std::fabs(difference));
      }
      const std::lock_guard lock(mutex);
      preview.errors += row_errors;
      preview.squares += row_squares;
      preview.largest_error = std::max(preview.largest_error, row_largest);
    });
    return preview;
  }

  Context& context_;
  const GgufExport& job_;
  const ModelFiles& base_;
  std::string architecture_;
  MergedModel merged_;
  std::vector<Step> steps_;
  // Of the layer that is being written, by their inputs.
  std::string rounding_layer_;
  std::map<const float*, std::unique_ptr<OutputRounding>> roundings_;
  GgufExportResult result_;
};

}  // namespace

GgufExportResult write_gguf_model(Context& context, const GgufExport& job,
                                  const std::string& path) {
  return GgufModel(context, job).write(path);
}

std::vector<TensorPreview> preview_gguf_model(Context& context, const GgufExport& job) {
  return GgufModel(context, job).preview();
}

}  // namespace zhiyin
