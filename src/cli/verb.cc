#include "cli/verb.h"

#include <unistd.h>

#include <atomic>
#include <csignal>
#include <cstdio>
#include <iostream>
#include <iterator>

#include "base/error.h"
#include "base/file.h"
#include "base/progress.h"

namespace zhiyin::cli {
namespace {

std::atomic<void (*)()> interrupt_action{nullptr};
std::atomic<pid_t> interrupting_process{0};  // 0: nobody yet, or a terminal
std::atomic<Model*> cancelled_model{nullptr};

void end_program() {
  remove_unfinished_files();
  _exit(130);
}

void on_interrupt(int, siginfo_t* info, void*) {
  const pid_t sender = info->si_code == SI_USER ? info->si_pid : 0;
  if (void (*action)() = interrupt_action.exchange(nullptr)) {
    interrupting_process.store(sender);
    action();
  } else if (sender == 0 || sender != interrupting_process.load()) {
    // timeout(1) signals the program and then the group that it belongs to: that is one request.
    end_program();
  }
}

// The bytes that "8GB" or "off" allow.
int64_t cache_limit(std::string value) {
  if (value == "off") return 0;
  try {
    const std::string wrong = CLI::AsSizeValue(true)(value);
    uint64_t bytes = 0;
    if (wrong.empty() && CLI::detail::lexical_cast(value, bytes) && bytes <= uint64_t{1} << 60) {
      return static_cast<int64_t>(bytes);
    }
  } catch (const CLI::ValidationError&) {  // of a unit that there is not
  }
  throw CLI::ValidationError("--packed-cache or ZHIYIN_PACKED_CACHE",
                             "must be off or a size such as 8GB");
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
  open.packed_cache.folder = environment().packed_cache;
  open.packed_cache.on_note = [](const std::string& text) {
    std::cerr << "zhiyin: " << text << '\n';
  };
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
  verb.add_option_function<std::string>(
          "--packed-cache",
          [&open](const std::string& value) { open.packed_cache.limit = cache_limit(value); },
          tr("Most bytes of packed weights kept on disk for a quicker start, such as 8GB, or off; "
             "default 16GB",
             "为加快启动而保存在磁盘上的打包权重的上限，如 8GB；off：不保存；默认 16GB"))
      ->envname("ZHIYIN_PACKED_CACHE");
}

void with_interrupt(void (*interrupt)(), const std::function<void()>& work) {
  struct sigaction action{};
  action.sa_flags = SA_SIGINFO;
  action.sa_sigaction = on_interrupt;
  // A closed terminal and a polite kill are asked to stop as well, rather than to lose the work.
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) sigaction(signal, &action, nullptr);
  interrupting_process.store(0);
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

void finish_cache(Model& model) {
  with_cancel(model, [&] {
    Progress progress(tr("keeping the packed weights for the next start (Ctrl-C: not)",
                         "保存打包后的权重，下次启动更快（Ctrl-C 放弃）"),
                      0);
    model.finish_cache([&](int64_t done, int64_t total) {
      progress.set_total(total);
      progress.update(done);
    });
  });
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
