// Weights in the packed form of an earlier start, or packed now and kept for later ones.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "io/model_files.h"
#include "tensor/weight.h"
#include "zhiyin/packed_cache.h"

namespace zhiyin {

class PackedCache {
 public:
  // `context` and `files` must outlive it.
  PackedCache(PackedCacheOptions options, Context& context, const ModelFiles& files)
      : options_(std::move(options)), context_(context), files_(files) {}
  // Completes what is being written, unless the context is cancelled.
  ~PackedCache();
  PackedCache(const PackedCache&) = delete;
  PackedCache& operator=(const PackedCache&) = delete;

  // Gives all weights that have one their packed form. What was not in the cache is written there
  // by a thread of low priority; the weights must stay as they are until it is done.
  void prepare(const std::vector<Weight>& weights);

  // "packed" in this process; "mapped" from the cache, or "moved" from there to pages of 2 MB, in
  // the background. Empty before prepare().
  const std::string& origin() const { return origin_; }

  // Waits until all is written, or gives that up when the context is cancelled. on_progress is
  // called several times a second with work done and in all.
  void finish(const std::function<void(int64_t done, int64_t total)>& on_progress);
  // Waits until the weights lie where they stay.
  void settle();

 private:
  bool take_from(const std::string& path, uint64_t key, const std::vector<Weight>& weights);
  // Whether the folder has, or could be given, room for so many bytes.
  bool make_room(const std::string& path, int64_t bytes) const;
  void move_to_large_pages(const MmapFile& file);
  void keep(const std::string& path, uint64_t key, std::vector<Weight> weights);
  void note(const std::string& text) const;

  PackedCacheOptions options_;
  Context& context_;
  const ModelFiles& files_;
  std::string origin_;

  std::thread writer_;
  std::atomic<int64_t> done_{0};
  int64_t total_ = 0;
  std::atomic<bool> stop_{false}, written_{true};
  std::thread mover_;
  std::atomic<bool> stop_moving_{false};
  std::string failure_;  // of the writer, read when it has ended
};

}  // namespace zhiyin
