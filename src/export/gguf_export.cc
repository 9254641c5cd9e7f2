#include "export/gguf_export.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <memory>
#include <mutex>

#include "base/error.h"
#include "export/gguf_metadata.h"
#include "export/merged_model.h"
#include "export/output_rounding.h"
#include "io/gguf.h"
#include "io/gguf_config.h"
#include "io/tensor_names.h"

namespace zhiyin {
namespace {

constexpr const char* kRopeFactors = "rope_freqs.weight";

// What becomes of one tensor.
struct Step {
  const MergedTensor* tensor = nullptr;
  std::string gguf_name;
  Format format = Format::kF32;
  const float* importance = nullptr;  // [matrices, cols]
  int64_t matrices = 1;               // experts
  bool is_refined = false;            // rounded by what the layer says
  std::vector<uint8_t> refined{};     // the packed rows, before they are written

  bool is_copied() const {
    return tensor->is_plain() && format == tensor->tensor->required_format();
  }
  const float* importance_of_row(int64_t row) const {
    if (importance == nullptr) return nullptr;
    return importance + row / (tensor->rows / matrices) * tensor->cols;
  }
  int64_t bytes() const { return row_bytes(format, tensor->cols) * tensor->rows; }
};

// Bytes that are ready for the file.
struct Waiting {
  const Step* step;
  const void* data;
  size_t bytes;
};

constexpr size_t kSmallTensor = 1 << 20;

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
    plan_refining();
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
    for_each_step([&](Step& step) { write_tensor(writer, step); });
    write_waiting(writer);
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
      Step& step = steps_.emplace_back();
      step.tensor = &tensor;
      step.gguf_name = name.value_or(tensor.tensor->name);
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
    const bool keeps = keeps_formats();
    for (size_t i = 0; i < steps_.size(); ++i) {
      steps_[i].format = keeps ? steps_[i].tensor->tensor->required_format() : formats[i];
    }
  }

  // A base of the wanted mix keeps the format of each tensor. llama.cpp has given the larger ones
  // of a mix to other layers over time, and a matrix that changes its format is rounded anew.
  bool keeps_formats() const {
    return base_.gguf && base_.gguf->metadata().find_f64("general.file_type") ==
                             static_cast<double>(mix_info(job_.mix).file_type);
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
    for (Step& step : steps_) {
      visit(step);
      done += static_cast<int64_t>(step.tensor->tensor->bytes);
      if (job_.on_progress) job_.on_progress(done, total);
    }
  }

  // Calls visit(row, floats) for the rows [begin, end), on all threads; `beside`, where there is
  // one, meanwhile on one of them.
  template <typename Visit>
  void for_rows(const Step& step, int64_t begin, int64_t end, Visit visit,
                const std::function<void()>& beside = nullptr) {
    const int64_t others = beside ? 1 : 0;
    context_.pool().parallel_for(end - begin + others, 4, [&](int64_t first, int64_t last) {
      if (others > 0 && first == 0) beside();
      std::vector<float> row(static_cast<size_t>(step.tensor->cols));
      for (int64_t i = begin + std::max<int64_t>(0, first - others); i < begin + last - others;
           ++i) {
        merged_.read_row(context_.kernels(), *step.tensor, i, row.data());
        visit(i, row.data());
      }
    });
  }

  void write_tensor(GgufWriter& writer, Step& step) {
    if (step.is_copied()) {
      waiting_.push_back({&step, step.tensor->tensor->data, step.tensor->tensor->bytes});
      // Norms and biases wait with the band before them; large tensors would only delay.
      if (step.tensor->tensor->bytes > kSmallTensor) write_waiting(writer);
      ++result_.copied;
      return;
    }
    ++result_.packed;
    const FormatInfo& to = format_info(step.format);
    const int64_t cols = step.tensor->cols, to_bytes = row_bytes(to.format, cols);
    if (step.is_refined) {
      write_waiting(writer);
      write_refined(writer, step);
      return;
    }
    // A band of rows at a time bounds memory. It goes to the file while the next one is packed, so
    // that no thread waits for another's writing.
    const int64_t band = std::max<int64_t>(1, (int64_t{8} << 20) / cols);
    for (int64_t begin = 0; begin < step.tensor->rows; begin += band) {
      const int64_t end = std::min(step.tensor->rows, begin + band);
      next_.resize(static_cast<size_t>((end - begin) * to_bytes));
      for_rows(
          step, begin, end,
          [&](int64_t row, const float* values) {
            to.pack(values, next_.data() + (row - begin) * to_bytes, cols,
                    step.importance_of_row(row));
          },
          [&] { write_waiting(writer); });
      std::swap(packed_, next_);
      waiting_.push_back({&step, packed_.data(), packed_.size()});
    }
  }

  void write_waiting(GgufWriter& writer) {
    for (const Waiting& w : waiting_) writer.write(w.step->gguf_name, w.data, w.bytes);
    waiting_.clear();
  }

  // Matrices are rounded in the order of the forward, up to this one.
  void write_refined(GgufWriter& writer, Step& step) {
    while (step.refined.empty()) refine(*to_refine_[refined_++]);
    ++result_.refined;
    writer.write(step.gguf_name, step.refined.data(), step.refined.size());
    step.refined = {};
  }

  void refine(Step& step) {
    const FormatInfo& to = format_info(step.format);
    const int64_t cols = step.tensor->cols, to_bytes = row_bytes(to.format, cols);
    const int64_t rows = step.tensor->rows;
    const OutputRounding& rounding = rounding_of(step);
    constexpr int64_t kBand = 512;
    step.refined.resize(static_cast<size_t>(rows * to_bytes));
    std::vector<float> wanted;
    for (int64_t begin = 0; begin < rows; begin += kBand) {
      const int64_t band = std::min(rows - begin, kBand);
      uint8_t* packed = step.refined.data() + begin * to_bytes;
      wanted.resize(static_cast<size_t>(band * cols));
      for_rows(step, begin, begin + band, [&](int64_t row, const float* values) {
        const int64_t at = row - begin;
        std::copy_n(values, cols, wanted.data() + at * cols);
        if (keeps_grid(step)) {
          std::copy_n(step.tensor->tensor->data + row * to_bytes, to_bytes, packed + at * to_bytes);
        } else {
          to.pack(values, packed + at * to_bytes, cols, step.importance_of_row(row));
        }
      });
      rounding.refine(to.format, packed, wanted.data(), begin, band);
    }
    // Where rows move, the model that reads has them in another order than the file; there the
    // layer goes on as it was tuned.
    if (step.tensor->moves_rows) return;
    auto bytes = std::make_shared<const std::vector<uint8_t>>(step.refined);
    const uint8_t* data = bytes->data();
    job_.views->settle(path_of(step),
                       Weight(step.gguf_name, step.format, rows, cols, data, std::move(bytes)));
  }

  // The scales of the base serve the merged matrix best: the adapter was trained beside them.
  static bool keeps_grid(const Step& step) {
    return !step.tensor->moves_rows && step.format == step.tensor->tensor->required_format();
  }

  static std::string_view path_of(const Step& step) {
    std::string_view path = step.tensor->tensor->name;
    if (path.ends_with(".weight")) path.remove_suffix(std::string_view(".weight").size());
    return path;
  }

  void plan_refining() {
    if (job_.views == nullptr) return;
    context_.allocator().keep_at_most(size_t{1} << 30);  // each layer asks for the same sizes
    std::map<std::string, Step*, std::less<>> by_path;
    for (Step& step : steps_) {
      if (step.tensor->factors == nullptr || !has_even_codes(step.format)) continue;
      by_path.emplace(path_of(step), &step);
    }
    for (const std::string& path : job_.views->order()) {
      const auto found = by_path.find(path);
      if (found == by_path.end()) continue;
      found->second->is_refined = true;
      to_refine_.push_back(found->second);
    }
  }

  // Layers of one input share a rounding.
  const OutputRounding& rounding_of(const Step& step) {
    LayerView view = job_.views->look(path_of(step));
    const bool same = rounding_ != nullptr && !view.owed.defined() && !view_.owed.defined() &&
                      view.exported.data() == view_.exported.data() &&
                      view.tuned.data() == view_.tuned.data();
    if (!same) rounding_ = std::make_unique<OutputRounding>(context_, view);
    view_ = std::move(view);
    return *rounding_;
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
  std::vector<Step*> to_refine_;        // in the order of the forward
  size_t refined_ = 0;                  // of these
  std::vector<Waiting> waiting_;        // to be written next, in this order; of one band at most
  std::vector<uint8_t> packed_, next_;  // the band that waits and the one after it
  LayerView view_;                      // what rounding_ was made from
  std::unique_ptr<OutputRounding> rounding_;
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
