// What is right and what is wrong with a model's files, before it talks nonsense.
#pragma once

#include <string>
#include <vector>

#include "zhiyin/model.h"

namespace zhiyin {

struct Finding {
  enum class Level { kInfo, kWarning, kError };
  Level level;
  std::string text;
};

struct DoctorReport {
  std::string prompt;  // a sample conversation as the template renders it
  std::vector<int32_t> ids;
  std::vector<std::string> pieces;  // of the ids
  std::vector<StopEntry> stop;
  std::vector<Finding> findings;
};

// `against`: the base that a model was made from; nullptr: none. Loads the weights of the model.
DoctorReport doctor(Model& model, const Model* against);

}  // namespace zhiyin
