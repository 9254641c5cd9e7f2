#include "cli/verb.h"

#include <unistd.h>

#include <atomic>
#include <csignal>
#include <cstdio>
#include <iostream>
#include <iterator>

#include "base/error.h"
#include "base/file.h"

namespace zhiyin::cli {
namespace {

std::atomic<void (*)()> interrupt_action{nullptr};
std::atomic<Model*> cancelled_model{nullptr};

void end_program() {
  remove_unfinished_files();
  _exit(130);
}

void on_interrupt(int) {
  if (void (*action)() = interrupt_action.exchange(nullptr)) {
    action();
  } else {
    end_program();
  }
}

}  // namespace

std::string tr(const char* english, const char* chinese) {
  return environment().chinese ? chinese : english;
}

CLI::App* add_verb(CLI::App& program, const std::string& name, const std::string& description,
                   const std::string& example) {
  CLI::App* verb = program.add_subcommand(name, description);
  verb->footer(tr("Example:\n  ", "例子：\n  ") + example);
  return verb;
}

void add_model_flags(CLI::App& verb, std::string& model, OpenOptions& open) {
  open.models_folder = environment().models_folder;
  open.isa = environment().isa;
  verb.add_option(
          "MODEL", model,
          tr("A GGUF file, a folder, or a name under ", "GGUF 文件、文件夹，或此处的名字：") +
              environment().models_folder)
      ->required();
  verb.add_option("--threads", open.threads,
                  tr("Threads; 0: one a physical core", "线程数；0：每个物理核一个"))
      ->check(CLI::Range(0, 1024));
  verb.add_flag("--exact", open.exact,
                tr("Activations, products and cache in f32: slower, for comparing",
                   "激活、乘积和缓存都用 f32：较慢，用于比较"));
  verb.add_option("--cache-type", open.cache_type,
                  tr("Keys and values as f32, f16 or q8_0", "键值缓存类型：f32、f16 或 q8_0"))
      ->check(CLI::IsMember({"f32", "f16", "q8_0"}));
  verb.add_option("--adapter", open.adapters,
                  tr("A LoRA adapter to put on the model (may be repeated)",
                     "加载的 LoRA 适配器（可重复）"))
      ->allow_extra_args(false);  // or it would take the question that follows
}

void with_interrupt(void (*interrupt)(), const std::function<void()>& work) {
  struct sigaction action{};
  action.sa_handler = on_interrupt;
  // A closed terminal and a polite kill are asked to stop as well, rather than to lose the work.
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) sigaction(signal, &action, nullptr);
  interrupt_action.store(interrupt);
  try {
    work();
  } catch (...) {
    interrupt_action.store(nullptr);
    throw;
  }
  interrupt_action.store(nullptr);
}

void with_cancel(Model& model, const std::function<void()>& work) {
  cancelled_model.store(&model);
  with_interrupt([] { cancelled_model.load()->cancel(); }, work);
}

std::string read_input(const std::string& path) {
  if (path != "-") return read_file(path);
  return {std::istreambuf_iterator<char>(std::cin), std::istreambuf_iterator<char>()};
}

bool stdin_is_terminal() { return isatty(STDIN_FILENO) != 0; }

StickerStyle sticker_style() {
  return isatty(STDOUT_FILENO) != 0 ? StickerStyle::kTerminal : StickerStyle::kMarkdown;
}

std::string bytes_text(int64_t bytes) {
  const char* units[] = {"B", "kB", "MB", "GB", "TB"};
  double value = static_cast<double>(bytes);
  int unit = 0;
  while (value >= 1000 && unit < 4) {
    value /= 1000;
    ++unit;
  }
  char buffer[32];
  std::snprintf(buffer, sizeof buffer, unit == 0 ? "%.0f %s" : "%.2f %s", value, units[unit]);
  return buffer;
}

}  // namespace zhiyin::cli
