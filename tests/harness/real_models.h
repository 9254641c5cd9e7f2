// The real models that slow tests run, beside their golden values.
#pragma once

#include <gtest/gtest.h>

#include <string>

namespace zhiyin::testing {

struct RealModel {
  const char* golden;  // of shared/fixtures/real
  const char* file;    // of $ZHIYIN_HOME/models
};

inline constexpr RealModel kRealModels[] = {
    {"smollm2", "smollm2-135m-Q4_1.gguf"},
    {"qwen05", "qwen2.5-coder-0.5b-Q4_K_M.gguf"},
    {"qwen15", "qwen2.5-coder-1.5b-Q4_K_M.gguf"},
};

inline std::string real_model_name(const ::testing::TestParamInfo<RealModel>& test) {
  return test.param.golden;
}

}  // namespace zhiyin::testing
