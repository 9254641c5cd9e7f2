// What the layers of a tuned model and of its export see while they read some text: what quantisers
// round by.
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "export/layer_views.h"
#include "train/dataset.h"
#include "zhiyin/model.h"

namespace zhiyin {

// Both models read the same rows block by block; the exported one starts as the tuned one and gets
// its rounded matrices as they are settled. As many whole rows as memory allows, at most
// kMostCalibrationTokens.
inline constexpr int64_t kMostCalibrationTokens = 8192;
inline constexpr size_t kMostCalibrationRows = 1024;

// `tuned` must outlive the result. `base`, `open`: what opens the tuned model once more.
std::unique_ptr<LayerViews> view_layers(Model& tuned, const std::string& base,
                                        const OpenOptions& open, std::span<const TrainRow> rows);

// Rows that the tuned model was trained on, and its own answers to everyday questions, which lie
// outside of them.
std::vector<TrainRow> calibration_rows(Model& tuned, std::span<const TrainRow> of_training,
                                       const std::function<void(int64_t, int64_t)>& on_progress);

// The same for a run of tuning whose adapter is merged into `base`: the tuned model is opened and
// reads what it was trained on. No views where that is not to be had, with a note that says why.
struct RunViews {
  std::unique_ptr<Model> tuned;  // in whose memory the views lie
  std::unique_ptr<LayerViews> views;
};
RunViews views_of_run(const std::string& run, const std::string& base, const OpenOptions& open,
                      std::vector<std::string>& notes);

}  // namespace zhiyin
