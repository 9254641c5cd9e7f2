// zhiyin: the program. Verbs are one file each; errors become one line and an exit code.
#include <cstdlib>
#include <iostream>
#include <new>

#include "base/file.h"
#include "cli/verb.h"
#include "zhiyin/version.h"

namespace zhiyin::cli {

#define VERB(name) void add_##name(CLI::App& program);
#include "cli/verbs.def"
#undef VERB

namespace {

std::string variable(const char* name) {
  const char* value = std::getenv(name);
  return value != nullptr ? value : "";
}

Environment read_environment() {
  Environment e;
  e.home = variable("ZHIYIN_HOME");
  if (e.home.empty()) e.home = variable("HOME") + "/.zhiyin";
  e.models_folder = e.home + "/models";
  e.isa = variable("ZHIYIN_ISA");
  std::string cache = variable("XDG_CACHE_HOME");
  // The specification (basedir-spec) has relative paths ignored.
  if (!cache.starts_with('/')) cache = variable("HOME") + "/.cache";
  if (cache.starts_with('/')) e.packed_cache = cache + "/zhiyin/packed";
  std::string language = variable("LC_ALL");
  if (language.empty()) language = variable("LC_MESSAGES");
  if (language.empty()) language = variable("LANG");
  e.chinese = language.rfind("zh", 0) == 0;
  return e;
}

int print_error(const char* message, int code) {
  std::cerr << "zhiyin: " << message << '\n';
  return code;
}

int run(int argc, char** argv) {
  CLI::App program(tr("zhiyin: run, tune and inspect AI models on your own machine",
                      "知音：在自己的电脑上运行、微调和查看模型"),
                   "zhiyin");
  program.set_version_flag("--version", std::string("zhiyin ") + kVersion);
  program.require_subcommand(1);
  program.footer(tr("zhiyin VERB --help tells more about a verb, with an example.",
                    "zhiyin VERB --help 给出该命令的说明和例子。"));
#define VERB(name) add_##name(program);
#include "cli/verbs.def"
#undef VERB
  try {
    program.parse(argc, argv);
    return 0;
  } catch (const CLI::Success& e) {
    return program.exit(e);
  } catch (const CLI::ParseError& e) {
    return print_error((std::string(e.what()) + tr("; zhiyin --help lists the verbs and flags",
                                                   "；zhiyin --help 列出命令和选项"))
                           .c_str(),
                       static_cast<int>(ErrorCode::kUsage));
  } catch (const ExitCode& e) {
    return e.value;
  } catch (const Error& e) {
    return print_error(e.what(), static_cast<int>(e.code()));
  } catch (const std::bad_alloc&) {
    return print_error(tr("out of memory", "内存不足").c_str(),
                       static_cast<int>(ErrorCode::kOutOfMemory));
  } catch (const std::exception& e) {
    return print_error(e.what(), static_cast<int>(ErrorCode::kFailed));
  }
}

}  // namespace

const Environment& environment() {
  static const Environment e = read_environment();
  return e;
}

}  // namespace zhiyin::cli

int main(int argc, char** argv) { return zhiyin::cli::run(argc, argv); }
