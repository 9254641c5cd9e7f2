#include "api/tune_model.h"

#include "base/error.h"
#include "export/full_model.h"
#include "io/load_weights.h"
#include "io/lora_file.h"
#include "nn/attach_adapter.h"
#include "train/lora.h"

namespace zhiyin {
namespace {

bool is_quantised(const ModelFiles& files) {
  for (const TensorEntry& tensor : files.tensors) {
    if (tensor.format && format_info(*tensor.format).block > 1) return true;
  }
  return false;
}

}  // namespace

TunedModel::TunedModel(const TuneConfig& config, Model::Impl& base) : config_(config), base_(base) {
  base.files.require_weights();
  for (const TensorEntry& tensor : base.files.tensors) {
    base_bytes_ += static_cast<int64_t>(tensor.bytes);
  }
  if (config.full) {
    open_trainable();
    return;
  }
  if (config.quantization_bit == 0) {
    lm_ = &base.need_causal_lm();
  } else if (is_quantised(base.files)) {
    notes_.push_back({"ignored quantization_bit: the base is quantised, and trained on as it is",
                      "忽略 quantization_bit：原模型已量化，直接在其上训练"});
    lm_ = &base.need_causal_lm();
  } else {
    open_packed();
  }
  attach_lora();
}

void TunedModel::open_packed() {
  const Mix mix = config_.quantization_bit == 4 ? Mix::kQ4_K_M : Mix::kQ8_0;
  const Weights weights = load_packed_weights(*base_.context, base_.files, mix);
  own_lm_ = make_causal_lm(*base_.files.config, weights);
  lm_ = own_lm_.get();
  base_bytes_ = 0;
  const bool prepare = base_.options.prepare && !base_.options.exact;
  for (const Weight& weight : lm_->frozen_matrices()) {
    if (prepare) weight.prepare(*base_.context);
    // Beside the prepared form these stay, as there is no file to read them from again.
    base_bytes_ += (weight.packed() != nullptr ? 2 : 1) * weight.bytes();
  }
  notes_.push_back({cat("the base is packed as ", mix_info(mix).name, " in memory"),
                    cat("原模型在内存中压成 ", mix_info(mix).name)});
}

void TunedModel::open_trainable() {
  const Weights weights = load_weights(*base_.context, base_.files);
  weights.make_trainable();
  own_lm_ = make_causal_lm(*base_.files.config, weights);
  lm_ = own_lm_.get();
  for (auto& [name, value] : weights.parameters()) parameters_.push_back({name, value});
}

void TunedModel::attach_lora() {
  const ModelConfig& c = *base_.files.config;
  layers_ = lm_->linears();
  if (config_.adapter.empty()) {
    adapter_ = new_adapter(layers_, {.rank = config_.lora_rank,
                                     .alpha = config_.lora_alpha,
                                     .rslora = config_.rslora,
                                     .dropout = config_.lora_dropout,
                                     .targets = config_.lora_targets,
                                     .seed = config_.seed});
    adapter_.rope_pairs = c.rope.adjacent;
  } else {
    adapter_ = read_lora_adapter(config_.adapter);
    adapter_.dropout = config_.lora_dropout;
    set_rope_pairs(adapter_, c.rope.adjacent, c.head_dim);
    notes_.push_back(
        {cat("going on from the adapter ", config_.adapter, ": rank ", adapter_.rank, ", alpha ",
             adapter_.alpha,
             " and its layers are kept, whatever lora_rank, lora_alpha and "
             "lora_target say"),
         cat("从适配器 ", config_.adapter, " 继续：保留其 rank ", adapter_.rank, "、alpha ",
             adapter_.alpha, " 和所在的层，不看 lora_rank、lora_alpha 和 lora_target")});
  }
  adapter_.base_model = config_.model;
  attach_adapter(*base_.context, adapter_, layers_, "the adapter to train");
  parameters_ = adapter_parameters(*lm_);
}

void TunedModel::write(const std::string& chat_template, const std::string& folder) const {
  if (!config_.full) {
    write_peft_adapter(folder, adapter_of(layers_, adapter_), base_.files.config->head_dim);
    return;
  }
  TensorValues values;
  for (const Trainer::Parameter& p : parameters_) {
    values[p.name] = {p.value.data(), static_cast<size_t>(p.value.elements())};
  }
  write_full_model(*base_.context, base_.files, values, chat_template, folder);
}

}  // namespace zhiyin
