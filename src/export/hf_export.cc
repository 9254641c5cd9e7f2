#include "export/hf_export.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <vector>

#include "base/error.h"
#include "base/file.h"
#include "export/hf_files.h"
#include "export/merged_model.h"
#include "io/safetensors.h"
#include "io/tensor_names.h"

namespace zhiyin {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

constexpr float kLargestHalf = 65504.0f;

class HfModelWriter {
 public:
  HfModelWriter(Context& context, const HfExport& job, const std::string& folder)
      : context_(context),
        job_(job),
        base_(*job.base),
        folder_(folder),
        merged_(base_, job.adapter, /*rope_pairs=*/false) {}

  HfExportResult run() {
    plan();
    std::error_code error;
    fs::create_directories(folder_, error);
    check(!error, ErrorCode::kFailed, folder_, ": cannot be created: ", error.message());
    for (const char* name : {"config.json", "model.safetensors", "model.safetensors.index.json"}) {
      check(!file_exists(in_folder(name)), ErrorCode::kUsage, folder_, ": holds ", name,
            " already; name another folder or remove it");
    }
    for (size_t shard = 0; shard < shards_.size(); ++shard) write_shard(shard);
    if (shards_.size() > 1) write_index();
    write_hf_files(job_, folder_, common_format());
    result_.shards = static_cast<int64_t>(shards_.size());
    return result_;
  }

 private:
  struct Item {
    const MergedTensor* tensor;
    Format format;
    int64_t bytes() const { return row_bytes(format, tensor->cols) * tensor->rows; }
  };

  std::string in_folder(const std::string& name) const { return folder_ + "/" + name; }

  Format format_of(const TensorEntry& tensor) const {
    if (job_.format) return *job_.format;
    return base_.gguf ? Format::kF16 : tensor.required_format();
  }

  // What config.json calls the type of the weights: that of the largest tensor.
  Format common_format() const {
    const Item* largest = nullptr;
    for (const std::vector<Item>& shard : shards_) {
      for (const Item& item : shard) {
        if (largest == nullptr || item.bytes() > largest->bytes()) largest = &item;
      }
    }
    return largest->format;
  }

  void plan() {
    int64_t filled = 0;
    shards_.emplace_back();
    for (const MergedTensor& tensor : merged_.tensors()) {
      if (base_.gguf && !gguf_tensor_name(base_.gguf->architecture(), tensor.tensor->name)) {
        // Tables of rotations are in config.json.
        check(tensor.tensor->name == "rope_freqs.weight", ErrorCode::kUnsupported, base_.path,
              ": the tensor ", tensor.tensor->name, " has no Hugging Face name");
        continue;
      }
      const Item item{&tensor, format_of(*tensor.tensor)};
      check(format_info(item.format).block == 1, ErrorCode::kUnsupported, base_.path, ": ",
            tensor.tensor->name, " is ", tensor.tensor->type,
            ", which a Hugging Face folder cannot hold; give F16, BF16 or F32");
      if (!shards_.back().empty() && filled + item.bytes() > job_.shard_bytes) {
        shards_.emplace_back();
        filled = 0;
      }
      shards_.back().push_back(item);
      filled += item.bytes();
      result_.bytes += item.bytes();
      total_ += static_cast<int64_t>(tensor.tensor->bytes);
    }
  }

  std::string shard_name(size_t shard) const {
    if (shards_.size() == 1) return "model.safetensors";
    const auto number = [](size_t n) {
      const std::string digits = std::to_string(n);
      return std::string(5 - std::min<size_t>(5, digits.size()), '0') + digits;
    };
    return cat("model-", number(shard + 1), "-of-", number(shards_.size()), ".safetensors");
  }

  void write_shard(size_t shard) {
    SafetensorsWriter writer(in_folder(shard_name(shard)));
    writer.set_metadata("format", "pt");
    for (const Item& item : shards_[shard]) {
      writer.add_tensor(item.tensor->tensor->name, item.format, item.tensor->tensor->shape);
    }
    writer.start();
    for (const Item& item : shards_[shard]) {
      write_tensor(writer, item);
      done_ += static_cast<int64_t>(item.tensor->tensor->bytes);
      if (job_.on_progress) job_.on_progress(done_, total_);
    }
    writer.finish();
  }

  void write_tensor(SafetensorsWriter& writer, const Item& item) {
    const MergedTensor& merged = *item.tensor;
    const TensorEntry& tensor = *merged.tensor;
    if (merged.is_plain() && item.format == tensor.required_format()) {
      writer.write(tensor.name, tensor.data, tensor.bytes);
      ++result_.copied;
      return;
    }
    ++result_.converted;
    const FormatInfo& to = format_info(item.format);
    const int64_t to_bytes = row_bytes(to.format, merged.cols);
    const int64_t band = std::max<int64_t>(1, (int64_t{8} << 20) / merged.cols);
    std::vector<uint8_t> packed;
    std::atomic<bool> overflow = false;
    for (int64_t begin = 0; begin < merged.rows; begin += band) {
      const int64_t end = std::min(merged.rows, begin + band);
      packed.resize(static_cast<size_t>((end - begin) * to_bytes));
      context_.pool().parallel_for(end - begin, 4, [&](int64_t first, int64_t last) {
        std::vector<float> row(static_cast<size_t>(merged.cols));
        for (int64_t i = first; i < last; ++i) {
          merged_.read_row(context_.kernels(), merged, begin + i, row.data());
          if (item.format == Format::kF16 &&
              std::ranges::any_of(row, [](float x) { return std::fabs(x) > kLargestHalf; })) {
            overflow = true;
          }
          to.pack(row.data(), packed.data() + i * to_bytes, merged.cols, nullptr);
        }
      });
      check(!overflow, ErrorCode::kFailed, base_.path, ": ", tensor.name,
            " holds a weight above 65504, which F16 cannot; give BF16 or F32");
      writer.write(tensor.name, packed.data(), packed.size());
    }
  }

  void write_index() {
    Json map = Json::object();
    for (size_t shard = 0; shard < shards_.size(); ++shard) {
      for (const Item& item : shards_[shard]) map[item.tensor->tensor->name] = shard_name(shard);
    }
    write_file(
        in_folder("model.safetensors.index.json"),
        Json{{"metadata", {{"total_size", result_.bytes}}}, {"weight_map", map}}.dump(2) + "\n");
  }

  Context& context_;
  const HfExport& job_;
  const ModelFiles& base_;
  std::string folder_;
  MergedModel merged_;
  std::vector<std::vector<Item>> shards_;
  int64_t done_ = 0, total_ = 0;
  HfExportResult result_;
};

}  // namespace

HfExportResult write_hf_model(Context& context, const HfExport& job, const std::string& folder) {
  return HfModelWriter(context, job, folder).run();
}

}  // namespace zhiyin
