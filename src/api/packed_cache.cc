#include "api/packed_cache.h"

#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <mutex>
#include <set>

#include "api/model_impl.h"
#include "base/checksum.h"
#include "base/error.h"
#include "base/file.h"
#include "base/idle_watch.h"
#include "base/large_pages.h"
#include "base/stopwatch.h"
#include "io/packed_file.h"

namespace zhiyin {
namespace {

namespace fs = std::filesystem;

constexpr const char* kEnding = ".packed";
// Moving that takes no longer, in seconds, is done at once. A fresh page costs 0.2 to 3 s a GB,
// depending on the host.
constexpr double kShortMove = 0.5;
// Of the time that decoding takes, what small pages cost.
constexpr double kCostOfSmallPages = 0.1;
// With 0 a prompt takes twice as long meanwhile, with 19 moving takes longer than many an answer.
constexpr int kMoverNice = 10;
constexpr int kWriterNice = 19;

// Of the thread that calls it alone.
void set_own_nice(int value) { setpriority(PRIO_PROCESS, static_cast<id_t>(gettid()), value); }

// Two models opened from one file in one process must not write the same temporary file.
class WritingNow {
 public:
  explicit WritingNow(std::string path) : path_(std::move(path)) {
    const std::lock_guard lock(mutex);
    mine_ = paths.insert(path_).second;
  }
  ~WritingNow() {
    const std::lock_guard lock(mutex);
    if (mine_) paths.erase(path_);
  }
  WritingNow(const WritingNow&) = delete;
  WritingNow& operator=(const WritingNow&) = delete;
  bool mine() const { return mine_; }

 private:
  static inline std::mutex mutex;
  static inline std::set<std::string> paths;
  std::string path_;
  bool mine_;
};

int64_t bytes_of(const std::vector<Weight>& weights, const KernelTable& kernels) {
  int64_t bytes = 0;
  for (const Weight& weight : weights) bytes += weight.packed_size(kernels);
  return bytes;
}

int64_t sum_of(const std::vector<PackedCacheEntry>& entries) {
  int64_t bytes = 0;
  for (const PackedCacheEntry& entry : entries) bytes += entry.bytes;
  return bytes;
}

std::string absolute(const std::string& path) {
  std::error_code error;
  const fs::path whole = fs::weakly_canonical(path, error);
  return error ? path : whole.string();
}

}  // namespace

std::string packed_cache_path(const std::string& folder, const std::string& model_path) {
  const std::string model = absolute(model_path);
  // The name of the model for people, the number because names repeat.
  return cat(folder, "/", fs::path(model).stem().string(), "-",
             checksum(model.data(), model.size()), kEnding);
}

std::vector<PackedCacheEntry> packed_cache_entries(const std::string& folder) {
  std::vector<PackedCacheEntry> entries;
  std::error_code error;
  for (const fs::directory_entry& file : fs::directory_iterator(folder, error)) {
    if (file.path().extension() != kEnding) continue;
    PackedCacheEntry entry;
    entry.path = file.path().string();
    // Another process may remove the file meanwhile.
    entry.bytes = static_cast<int64_t>(file.file_size(error));
    if (error) continue;
    const auto used = std::chrono::file_clock::to_sys(file.last_write_time(error));
    if (error) continue;
    entry.used = std::chrono::duration_cast<std::chrono::seconds>(used.time_since_epoch()).count();
    try {
      entry.model = packed_file_model(entry.path);
      entry.model_exists = fs::exists(entry.model, error);
    } catch (const Error&) {
      entry.model.clear();
    }
    entries.push_back(std::move(entry));
  }
  std::ranges::sort(entries, [](const PackedCacheEntry& a, const PackedCacheEntry& b) {
    return a.used != b.used ? a.used > b.used : a.path < b.path;
  });
  return entries;
}

int64_t clear_packed_cache(const std::string& folder) {
  const std::vector<PackedCacheEntry> entries = packed_cache_entries(folder);
  for (const PackedCacheEntry& entry : entries) {
    std::error_code error;
    fs::remove(entry.path, error);
    check(!error, ErrorCode::kFailed, entry.path, ": cannot be removed: ", error.message());
  }
  if (fs::is_directory(folder)) remove_leftovers(folder);
  return sum_of(entries);
}

PackedCache::~PackedCache() {
  stop_moving_ = true;
  settle();
  finish(nullptr);
}

void PackedCache::note(const std::string& text) const {
  if (options_.on_note) options_.on_note(text);
}

void PackedCache::prepare(const std::vector<Weight>& weights) {
  const int64_t bytes = bytes_of(weights, context_.kernels());
  const bool worth =
      !options_.folder.empty() && bytes >= options_.smallest && bytes <= options_.limit;
  const std::string path = worth ? packed_cache_path(options_.folder, files_.path) : "";
  const uint64_t key = worth ? packed_file_key(context_.kernels(), files_) : 0;
  if (worth && take_from(path, key, weights)) return;
  for (const Weight& weight : weights) weight.prepare(context_);
  origin_ = "packed";
  if (worth) keep(path, key, weights);
}

bool PackedCache::take_from(const std::string& path, uint64_t key,
                            const std::vector<Weight>& weights) {
  if (!file_exists(path)) return false;
  try {
    const auto reading = read_packed_file(context_, path, key, weights);
    if (!reading) return false;
    origin_ = "mapped";
    const auto bytes = static_cast<int64_t>(reading->file.size());
    const auto small = bytes - static_cast<int64_t>(reading->bytes_on_large_pages);
    if (small > bytes / 4 && system_has_large_pages() && available_memory() > bytes) {
      origin_ = "moved";
      move_to_large_pages(reading->file);
    }
  } catch (const Error& e) {
    if (e.code() == ErrorCode::kNotFound) return false;  // another process made room
    if (e.code() != ErrorCode::kFailed) throw;
    note(cat("the packed weights are made anew: ", e.what()));
    return false;
  }
  // What was used last goes last when room is needed.
  std::error_code ignored;
  fs::last_write_time(path, fs::file_time_type::clock::now(), ignored);
  return true;
}

// Decoding reads all weights for every token, on pages of 4 KB a tenth slower, but moving them
// takes longer than a short answer. Where the first windows say that it is quickly done they are
// moved while the first tokens are on their way, else in the breaks between answers; or at last
// when small pages have cost as much as moving would have.
void PackedCache::move_to_large_pages(const MmapFile& file) {
  mover_ = std::thread([this, file] {
    set_own_nice(kMoverNice);
    IdleWatch watch;
    const auto opened = std::chrono::steady_clock::now();
    auto window = opened;
    double moving = 0;
    file.move_to_large_pages([&](size_t done) {
      moving += seconds_since(window);
      const double all = moving * static_cast<double>(file.size()) / static_cast<double>(done);
      watch.wait([&] {
        return !stop_moving_ && all > kShortMove && kCostOfSmallPages * seconds_since(opened) < all;
      });
      window = std::chrono::steady_clock::now();
      return !stop_moving_;
    });
  });
}

void PackedCache::settle() {
  if (mover_.joinable()) mover_.join();
}

bool PackedCache::make_room(const std::string& path, int64_t bytes) const {
  std::vector<PackedCacheEntry> others = packed_cache_entries(options_.folder);
  std::erase_if(others, [&](const PackedCacheEntry& entry) { return entry.path == path; });
  // Removed from the back: those of models that are no more, before the longest unused.
  std::ranges::sort(others, [](const PackedCacheEntry& a, const PackedCacheEntry& b) {
    return a.model_exists != b.model_exists ? a.model_exists : a.used > b.used;
  });
  int64_t kept = sum_of(others);
  int64_t room =
      static_cast<int64_t>(fs::space(options_.folder).available) - bytes - options_.keep_free;
  if (room + kept < 0) return false;
  while (!others.empty() && (room < 0 || kept + bytes > options_.limit)) {
    std::error_code error;
    if (fs::remove(others.back().path, error); error) return false;
    room += others.back().bytes;
    kept -= others.back().bytes;
    others.pop_back();
  }
  return room >= 0 && kept + bytes <= options_.limit;
}

void PackedCache::keep(const std::string& path, uint64_t key, std::vector<Weight> weights) {
  const int64_t bytes = bytes_of(weights, context_.kernels());
  // Until the disk has them the bytes stand in memory twice.
  if (available_memory() < bytes) return;
  try {
    if (!fs::exists(options_.folder)) {
      fs::create_directories(options_.folder);
      fs::permissions(options_.folder, fs::perms::owner_all);
    }
    remove_leftovers(options_.folder);
    if (!make_room(path, bytes)) return;
  } catch (const fs::filesystem_error& e) {
    note(cat("the packed weights are not kept: ", e.what()));
    return;
  }
  total_ = 2 * bytes;
  written_ = false;
  writer_ = std::thread([this, path, key, weights = std::move(weights)] {
    set_own_nice(kWriterNice);
    try {
      const WritingNow writing(path);
      if (writing.mine()) {
        write_packed_file(path, absolute(files_.path), key, weights, [&](int64_t done) {
          done_ = done;
          return !stop_;
        });
      }
    } catch (const std::exception& e) {
      failure_ = e.what();
    }
    written_ = true;
  });
}

void PackedCache::finish(const std::function<void(int64_t, int64_t)>& on_progress) {
  if (!writer_.joinable()) return;
  while (!written_) {
    if (context_.cancelled()) stop_ = true;
    if (on_progress) on_progress(done_, total_);
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  writer_.join();
  if (!failure_.empty()) note(cat("the packed weights are not kept: ", failure_));
}

}  // namespace zhiyin
