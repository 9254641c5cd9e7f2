// Where tests find their data.
#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <string>

namespace zhiyin::testing {

// The repository.
inline std::string source_path(const std::string& relative) {
  const char* root = std::getenv("ZHIYIN_SOURCE");
  return std::string(root != nullptr ? root : ".") + "/" + relative;
}

// Committed golden values.
inline std::string data_path(const std::string& relative) {
  return source_path("tests/data/" + relative);
}

// Third-party tokenizers, templates and reference values that are not in the repository:
// $ZHIYIN_SHARED, default ../shared beside the repository. Use with ZHIYIN_NEEDS_SHARED.
inline std::string shared_path(const std::string& relative) {
  const char* root = std::getenv("ZHIYIN_SHARED");
  return (root != nullptr ? std::string(root) : source_path("../shared")) + "/" + relative;
}

// A real model fetched by scripts/fetch-model.sh, such as "qwen2.5-coder-0.5b-Q4_K_M.gguf".
inline std::string model_path(const std::string& name) {
  const char* home = std::getenv("ZHIYIN_HOME");
  const char* user = std::getenv("HOME");
  const std::string root =
      home != nullptr ? home : std::string(user != nullptr ? user : "") + "/.zhiyin";
  return root + "/models/" + name;
}

// A fresh folder that is removed at the end of the scope.
class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::string pattern = (std::filesystem::temp_directory_path() / "zhiyin-test-XXXXXX").string();
    path_ = mkdtemp(pattern.data());
  }
  ~TemporaryFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  std::string operator/(const std::string& name) const { return path_ + "/" + name; }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

}  // namespace zhiyin::testing

// Skips, and says so, where a file outside the repository is absent.
#define ZHIYIN_NEEDS(path)                                                  \
  do {                                                                      \
    if (!std::filesystem::exists(path)) GTEST_SKIP() << "needs " << (path); \
  } while (false)
