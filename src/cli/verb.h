// What every verb of the program shares. A verb is one file with one function
//   void add_NAME(CLI::App& program);
// that adds its subcommand with flags, help and callback, and one line in verbs.def.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <string>
#include <vector>

#include "zhiyin/model.h"
#include "zhiyin/stickers.h"

namespace zhiyin::cli {

// The environment, read once in main().
struct Environment {
  std::string home;           // $ZHIYIN_HOME, default ~/.zhiyin
  std::string models_folder;  // home/models
  std::string isa;            // $ZHIYIN_ISA
  std::string packed_cache;   // $XDG_CACHE_HOME/zhiyin/packed, default ~/.cache/zhiyin/packed
  bool chinese = false;       // $LC_ALL, $LC_MESSAGES or $LANG asks for it
};
const Environment& environment();

// The text in the user's language.
std::string tr(const char* english, const char* chinese);

// A subcommand with a description and, below its flags, an example.
CLI::App* add_verb(CLI::App& program, const std::string& name, const std::string& description,
                   const std::string& example);

// MODEL and the flags that say how it is opened. The options point into `open` and `model`.
void add_model_flags(CLI::App& verb, std::string& model, OpenOptions& open);

// What Ctrl-C, SIGTERM and a closed terminal do while `work` runs: `interrupt` the first time (it
// must be async-signal-safe), the end of the program the second time, unless the process that sent
// the first signal sent it again.
void with_interrupt(void (*interrupt)(), const std::function<void()>& work);
// The same for a call on a model: its cancel().
void with_cancel(Model& model, const std::function<void()>& work);

// The bytes of a file, or of standard input for "-".
std::string read_input(const std::string& path);
// Whether standard input is a person's terminal.
bool stdin_is_terminal();
// Links on a terminal, markdown in a file or a pipe.
StickerStyle sticker_style();

// The packed weights of `model` go to the cache, if they are not there yet: with a progress bar
// where that takes a while; Ctrl-C gives it up.
void finish_cache(Model& model);

// "1.2 GB"
std::string bytes_text(int64_t bytes);

// The code main() returns after a verb that ran to its end without success (doctor's findings,
// a cancelled answer); thrown as ExitCode.
struct ExitCode {
  int value;
};

}  // namespace zhiyin::cli
