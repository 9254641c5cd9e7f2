// The small model of random weights that the training tests tune (tests/data/lora).
#pragma once

#include "harness/paths.h"
#include "io/load_weights.h"
#include "io/lora_file.h"
#include "io/model_files.h"
#include "models/family.h"
#include "nn/attach_adapter.h"
#include "train/trainer.h"

namespace zhiyin::testing {

struct TinyModel {
  Context context;
  ModelFiles files;
  std::unique_ptr<CausalLm> model;
  LoraAdapter adapter;

  // `change` may edit the adapter of the golden run's start before it is put on the model.
  explicit TinyModel(const ContextOptions& options,
                     const std::function<void(LoraAdapter&)>& change = {})
      : context(options), files(open_model_files(data_path("lora/base"), "")) {
    model = make_causal_lm(*files.config, load_weights(context, files));
    adapter = read_lora_adapter(data_path("lora/adapter_initial"));
    if (change) change(adapter);
    attach_adapter(context, adapter, model->linears(), "adapter_initial");
  }
};

}  // namespace zhiyin::testing
