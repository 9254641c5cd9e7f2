// One progress bar after the other, as the stages of an export come.
#pragma once

#include <memory>
#include <string>

#include "base/progress.h"
#include "zhiyin/export.h"

namespace zhiyin::cli {

class Stages {
 public:
  ExportProgress callback() {
    return [this](const std::string& what, int64_t done, int64_t total) {
      if (what != what_) {
        bar_.reset();
        bar_ = std::make_unique<Progress>(what, total);
        what_ = what;
      }
      bar_->update(done);
    };
  }

 private:
  std::string what_;
  std::unique_ptr<Progress> bar_;
};

}  // namespace zhiyin::cli
