#include <ctime>
#include <iostream>
#include <nlohmann/json.hpp>

#include "cli/verb.h"
#include "zhiyin/packed_cache.h"

namespace zhiyin::cli {
namespace {

struct Options {
  bool clear = false, json = false;
};

std::string day(int64_t seconds) {
  const auto time = static_cast<std::time_t>(seconds);
  std::tm local{};
  localtime_r(&time, &local);
  char text[32];
  std::strftime(text, sizeof text, "%Y-%m-%d %H:%M", &local);
  return text;
}

void list(const std::string& folder) {
  int64_t total = 0;
  for (const PackedCacheEntry& e : packed_cache_entries(folder)) {
    total += e.bytes;
    const std::string gone = tr(" (gone)", "（已不存在）");
    const std::string model = e.model.empty() ? tr("a damaged file", "已损坏") : e.model;
    std::cout << day(e.used) << "  " << bytes_text(e.bytes) << "  " << model
              << (e.model.empty() || e.model_exists ? "" : gone) << '\n';
  }
  std::cout << bytes_text(total) << tr(" of packed weights in ", " 打包权重位于 ") << folder
            << '\n';
}

void run(const Options& o) {
  const std::string& folder = environment().packed_cache;
  if (o.clear) {
    const int64_t bytes = clear_packed_cache(folder);
    if (o.json) {
      std::cout << nlohmann::ordered_json{{"folder", folder}, {"removed_bytes", bytes}} << '\n';
    } else {
      std::cout << bytes_text(bytes) << tr(" removed from ", " 已删除，位于 ") << folder << '\n';
    }
    return;
  }
  if (!o.json) {
    list(folder);
    return;
  }
  nlohmann::ordered_json files = nlohmann::ordered_json::array();
  for (const PackedCacheEntry& e : packed_cache_entries(folder)) {
    files.push_back({{"path", e.path},
                     {"model", e.model},
                     {"bytes", e.bytes},
                     {"used", e.used},
                     {"model_exists", e.model_exists}});
  }
  std::cout << nlohmann::ordered_json{{"folder", folder}, {"files", files}} << '\n';
}

}  // namespace

void add_cache(CLI::App& program) {
  auto o = std::make_shared<Options>();
  CLI::App* verb = add_verb(program, "cache",
                            tr("Packed weights kept for a quicker start: list or remove them",
                               "为加快启动而保存的打包权重：列出或删除"),
                            "zhiyin cache --clear");
  verb->add_flag("--clear", o->clear, tr("Remove them all", "全部删除"));
  verb->add_flag("--json", o->json, tr("Print JSON", "输出 JSON"));
  verb->callback([o] { run(*o); });
}

}  // namespace zhiyin::cli
