// What a tuning run trains: an adapter on a base that stays as it is, or all weights of the base.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "api/model_impl.h"
#include "nn/lora_adapter.h"
#include "train/trainer.h"
#include "zhiyin/finetune.h"

namespace zhiyin {

class TunedModel {
 public:
  // Loads the base and, for LoRA, puts a new adapter on it or the one to go on from. Both must
  // outlive it.
  TunedModel(const TuneConfig& config, Model::Impl& base);

  CausalLm& lm() { return *lm_; }
  const std::vector<Trainer::Parameter>& parameters() const { return parameters_; }
  // Bytes that the base takes in memory beside what is trained.
  int64_t base_bytes() const { return base_bytes_; }
  // What the user should know about how the base was opened.
  const std::vector<TuneNote>& notes() const { return notes_; }

  // The result as it is now: a PEFT adapter, or the model.
  void write(const std::string& chat_template, const std::string& folder) const;

 private:
  void open_packed();
  void open_trainable();
  void attach_lora();

  const TuneConfig& config_;
  Model::Impl& base_;
  std::unique_ptr<CausalLm> own_lm_;  // where it is not the base's own
  CausalLm* lm_ = nullptr;
  std::vector<Linear*> layers_;
  LoraAdapter adapter_;
  std::vector<Trainer::Parameter> parameters_;
  int64_t base_bytes_ = 0;
  std::vector<TuneNote> notes_;
};

}  // namespace zhiyin
