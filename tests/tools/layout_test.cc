// The rules that the folders obey (docs/architecture.md, section 1), held against the sources.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <regex>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "base/file.h"
#include "harness/paths.h"

namespace zhiyin::testing {
namespace {

using Names = std::set<std::string>;

constexpr int64_t kMaxLines = 800;

// The arrows of the layer rule: what stands directly before a folder. Whatever stands further left
// may be included too. cli and server are exceptions: of all that api offers they see the public
// headers alone.
const std::map<std::string, Names>& layers() {
  static const std::map<std::string, Names> table = {
      {"base", {}},
      {"quant", {"base"}},
      {"kernels", {"quant"}},
      {"tensor", {"kernels"}},
      {"autograd", {"tensor"}},
      {"ops", {"autograd"}},
      {"nn", {"ops"}},
      {"models", {"nn"}},
      {"generate", {"models"}},
      {"train", {"models"}},
      {"io", {"nn"}},
      {"text", {"base"}},
      {"chats", {"text"}},
      {"audio", {"base"}},
      {"image", {"base"}},
      {"export", {"io", "text"}},
      {"api", {"generate", "train", "export", "io", "chats", "audio", "image"}},
      {"cli", {"base"}},
      {"server", {"base"}},
  };
  return table;
}

// Models compute and nothing else: a family that opened a file or started a thread could not be
// driven by every caller alike.
const Names kBarredFromModels = {"base/file.h",
                                 "base/mmap_file.h",
                                 "base/thread_pool.h",
                                 "fstream",
                                 "filesystem",
                                 "thread",
                                 "mutex",
                                 "future"};
// The part of the public API that the whole program stands on.
const Names kPublicBase = {"zhiyin/error.h", "zhiyin/version.h"};
const Names kUsersOfPublicApi = {"api", "cli", "server"};

// A folder and everything left of it.
Names reach(const std::string& folder, const std::map<std::string, Names>& arrows) {
  Names found;
  std::vector<std::string> open = {folder};
  while (!open.empty()) {
    const std::string next = open.back();
    open.pop_back();
    if (!found.insert(next).second) continue;
    if (const auto row = arrows.find(next); row != arrows.end()) {
      open.insert(open.end(), row->second.begin(), row->second.end());
    }
  }
  return found;
}

// Why a file of src/<folder> may not include `header` (as written, without quotes or brackets);
// empty when it may.
std::string objection(const std::string& folder, const std::string& header) {
  if (folder == "models" && kBarredFromModels.contains(header)) {
    return "models see no file and no thread";
  }
  const size_t slash = header.find('/');
  if (slash == std::string::npos) return "";
  const std::string target = header.substr(0, slash);
  if (target == "zhiyin") {
    if (kPublicBase.contains(header) || kUsersOfPublicApi.contains(folder)) return "";
    return "of the public API, only error and version are for all";
  }
  if (!layers().contains(target)) return "";  // a library, such as yaml-cpp/yaml.h
  if (!layers().contains(folder)) return "src/" + folder + " has no place in the layer rule";
  if (reach(folder, layers()).contains(target)) return "";
  return folder + " may not include " + target;
}

// Why a public header may not include `header`; empty when it may.
std::string public_objection(const std::string& header) {
  if (header.starts_with("zhiyin/")) return "";
  static const std::regex standard("[a-z_0-9]+");
  if (std::regex_match(header, standard)) return "";
  return "public headers include the standard library and zhiyin/ alone";
}

std::vector<std::string> includes_of(const std::string& source) {
  static const std::regex pattern(R"re(^[ \t]*#[ \t]*include[ \t]*["<]([^">]+)[">])re");
  std::vector<std::string> headers;
  std::istringstream lines(source);
  for (std::string line; std::getline(lines, line);) {
    std::smatch match;
    if (std::regex_search(line, match, pattern)) headers.push_back(match[1]);
  }
  return headers;
}

// The folders that a folder's CMakeLists.txt links: those after DEPENDS, and zy_... targets.
Names depends_of(const std::string& cmake) {
  static const std::regex call(R"re((zy_library|target_link_libraries)\(([^)]*)\))re");
  Names folders;
  for (auto match = std::sregex_iterator(cmake.begin(), cmake.end(), call);
       match != std::sregex_iterator(); ++match) {
    const bool library = (*match)[1] == "zy_library";
    bool depends = false;
    std::istringstream words((*match)[2]);
    std::string word;
    words >> word;  // the target itself
    while (words >> word) {
      if (word == "DEPENDS" || word == "LIBRARIES" || word == "SOURCES") {
        depends = word == "DEPENDS";
      } else if (library && depends) {
        folders.insert(word);
      } else if (!library && word.starts_with("zy_") && word != "zy_flags") {
        folders.insert(word.substr(3));
      }
    }
  }
  return folders;
}

// The regular files under a folder of the repository whose names end in one of `endings`.
std::vector<std::string> files_under(const std::string& folder, const Names& endings) {
  std::vector<std::string> found;
  const std::string root = source_path(folder);
  if (!std::filesystem::exists(root)) return found;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(root)) {
    const std::string path = entry.path().lexically_relative(source_path(""));
    const bool wanted = std::any_of(endings.begin(), endings.end(), [&](const std::string& ending) {
      return path.ends_with(ending);
    });
    if (wanted && entry.is_regular_file()) found.push_back(path);
  }
  std::sort(found.begin(), found.end());
  return found;
}

std::string folder_of(const std::string& path) {  // src/<folder>/...
  const size_t begin = path.find('/') + 1;
  return path.substr(begin, path.find('/', begin) - begin);
}

std::map<std::string, Names> linked_folders() {
  std::map<std::string, Names> linked;
  for (const std::string& path : files_under("src", {"/CMakeLists.txt"})) {
    if (path == "src/CMakeLists.txt") continue;
    linked[folder_of(path)].merge(depends_of(read_file(source_path(path))));
  }
  return linked;
}

TEST(Layout, IncludesPointLeft) {
  const auto linked = linked_folders();
  int seen = 0;
  for (const std::string& path : files_under("src", {".h", ".cc", ".def"})) {
    const std::string folder = folder_of(path);
    const Names reachable = reach(folder, linked);
    for (const std::string& header : includes_of(read_file(source_path(path)))) {
      ++seen;
      EXPECT_EQ(objection(folder, header), "") << path << " includes " << header;
      const std::string target = header.substr(0, header.find('/'));
      if (header != target && layers().contains(target) && linked.contains(folder)) {
        EXPECT_TRUE(reachable.contains(target))
            << path << " includes " << header << ", which its CMake target does not link";
      }
    }
  }
  EXPECT_GT(seen, 20) << "the sources were not found";
}

TEST(Layout, TargetsLinkOnlyLeft) {
  for (const auto& [folder, targets] : linked_folders()) {
    for (const std::string& target : targets) {
      const bool program = kUsersOfPublicApi.contains(folder) && target == "api";
      EXPECT_TRUE(program || reach(folder, layers()).contains(target))
          << "src/" << folder << "/CMakeLists.txt links " << target;
    }
  }
}

TEST(Layout, PublicHeadersStandAlone) {
  for (const std::string& path : files_under("include", {".h"})) {
    for (const std::string& header : includes_of(read_file(source_path(path)))) {
      EXPECT_EQ(public_objection(header), "") << path << " includes " << header;
    }
  }
}

TEST(Layout, HeadersSayWhatTheyAreFor) {
  for (const char* folder : {"include", "src", "tests"}) {
    for (const std::string& path : files_under(folder, {".h"})) {
      const std::string text = read_file(source_path(path));
      EXPECT_TRUE(text.starts_with("// ")) << path << " does not open with its purpose";
      EXPECT_NE(text.find("\n#pragma once\n"), std::string::npos) << path << ": no #pragma once";
    }
  }
}

TEST(Layout, FilesStaySmall) {
  for (const char* folder :
       {"include", "src", "tests", "tools", "scripts", "bench", "fuzz", "cmake"}) {
    for (const std::string& path :
         files_under(folder, {".h", ".cc", ".def", ".py", ".sh", ".cmake", "CMakeLists.txt"})) {
      if (path.starts_with("tests/data/")) continue;
      const std::string text = read_file(source_path(path));
      EXPECT_LE(std::count(text.begin(), text.end(), '\n'), kMaxLines)
          << path << " does too much for one file";
    }
  }
}

// A function that the linker may take from any object must not come from one compiled for an
// instruction set the machine may lack.
TEST(Layout, InstructionSetObjectsShareNothing) {
#ifdef ZHIYIN_SANITIZED
  GTEST_SKIP() << "sanitizers add symbols of their own";
#endif
  int seen = 0;
  const std::filesystem::path objects = ZHIYIN_KERNEL_OBJECTS;
  for (const char* isa : {"avx2", "avx512", "amx"}) {
    if (!std::filesystem::exists(objects / isa)) continue;
    for (const auto& entry : std::filesystem::directory_iterator(objects / isa)) {
      if (entry.path().extension() != ".o") continue;
      ++seen;
      const std::string command = "nm -C --defined-only " + entry.path().string();
      FILE* pipe = popen(command.c_str(), "r");
      ASSERT_NE(pipe, nullptr);
      static const std::regex shared("^[0-9a-f]+ [VWu] (.*)\n");
      char line[1024];
      while (std::fgets(line, sizeof line, pipe) != nullptr) {
        std::cmatch match;
        EXPECT_FALSE(std::regex_match(line, match, shared))
            << isa << "/" << entry.path().filename().string() << " shares " << match[1];
      }
      EXPECT_EQ(pclose(pipe), 0) << command;
    }
  }
  if (seen == 0) GTEST_SKIP() << "needs objects in " << objects.string();
}

// The rules themselves: each refuses what it is there to refuse.
TEST(LayoutRules, RefuseWhatPointsRight) {
  EXPECT_EQ(objection("ops", "tensor/tensor.h"), "");
  EXPECT_EQ(objection("api", "io/gguf.h"), "");
  EXPECT_EQ(objection("chats", "text/tokenizer.h"), "");
  EXPECT_EQ(objection("api", "yaml-cpp/yaml.h"), "");
  EXPECT_EQ(objection("cli", "zhiyin/model.h"), "");
  EXPECT_EQ(objection("base", "zhiyin/error.h"), "");
  EXPECT_NE(objection("tensor", "ops/ops.h"), "");
  EXPECT_NE(objection("kernels", "tensor/tensor.h"), "");
  EXPECT_NE(objection("models", "io/gguf.h"), "");
  EXPECT_NE(objection("models", "text/bpe.h"), "");
  EXPECT_NE(objection("models", "base/thread_pool.h"), "");
  EXPECT_NE(objection("models", "thread"), "");
  EXPECT_NE(objection("generate", "train/trainer.h"), "");
  EXPECT_NE(objection("cli", "api/open.h"), "");
  EXPECT_NE(objection("nn", "zhiyin/model.h"), "");
  EXPECT_NE(objection("somewhere", "base/cat.h"), "");
}

TEST(LayoutRules, RefuseForeignPublicIncludes) {
  EXPECT_EQ(public_objection("cstdint"), "");
  EXPECT_EQ(public_objection("string_view"), "");
  EXPECT_EQ(public_objection("zhiyin/error.h"), "");
  EXPECT_NE(public_objection("base/cat.h"), "");
  EXPECT_NE(public_objection("nlohmann/json.hpp"), "");
  EXPECT_NE(public_objection("unistd.h"), "");
}

TEST(LayoutRules, ReadIncludesAndDependencies) {
  EXPECT_EQ(includes_of("#include <string>\n  # include \"ops/ops.h\"\n// #include <map>\n"),
            (std::vector<std::string>{"string", "ops/ops.h"}));
  EXPECT_EQ(depends_of("zy_library(nn\n  SOURCES a.cc b.cc\n  DEPENDS base ops LIBRARIES z)\n"),
            (Names{"base", "ops"}));
  EXPECT_EQ(depends_of("zy_library(base SOURCES a.cc)"), Names{});
  EXPECT_EQ(depends_of("target_link_libraries(zhiyin PRIVATE zy_flags zy_api edit)"), Names{"api"});
}

}  // namespace
}  // namespace zhiyin::testing
