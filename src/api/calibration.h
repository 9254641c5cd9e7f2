// What the layers of a model see while it reads training rows: what quantisers round by.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "export/output_rounding.h"
#include "train/dataset.h"
#include "zhiyin/model.h"

namespace zhiyin {

// As many whole rows as memory allows, at most about four thousand tokens; empty without rows.
LayerInputs inputs_of_layers(Model& model, std::span<const TrainRow> rows);

// The same for a run of tuning whose adapter is merged into `base`: the tuned model is opened and
// reads what it was trained on. Empty where that is not to be had, with a note that says why.
struct RunInputs {
  std::unique_ptr<Model> tuned;  // in whose memory the inputs lie
  LayerInputs inputs;
};
RunInputs inputs_of_run(const std::string& run, const std::string& base, const OpenOptions& open,
                        std::vector<std::string>& notes);

}  // namespace zhiyin
