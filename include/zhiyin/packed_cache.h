// The cache of packed weights: decoding wants the weights in another order than a model file has
// them, and making that order is most of the time that opening a model takes. Kept on disk, a later
// start maps it. Everything in the cache can be made again: it may be removed at any time.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace zhiyin {

struct PackedCacheOptions {
  std::string folder;                 // empty: nothing is kept
  int64_t limit = 16'000'000'000;     // bytes of all files; the ones longest unused make room
  int64_t keep_free = 2'000'000'000;  // bytes of the disk that are never taken
  int64_t smallest = 32'000'000;      // smaller models are packed in no time
  // Told in one line what was amiss with the cache, which never keeps a model from opening.
  std::function<void(const std::string&)> on_note;
};

struct PackedCacheEntry {
  std::string path;   // of the file
  std::string model;  // what it was made of; empty for a file that cannot be read
  int64_t bytes = 0;
  int64_t used = 0;  // when last, seconds since 1970
  bool model_exists = false;
};

// Last used first; nothing where there is no folder.
std::vector<PackedCacheEntry> packed_cache_entries(const std::string& folder);

// Removes all of them, and what killed processes left. Returns the bytes. Models that are running
// keep theirs.
int64_t clear_packed_cache(const std::string& folder);

// The file in `folder` that the packed form of a model is kept in, whether it exists or not.
std::string packed_cache_path(const std::string& folder, const std::string& model_path);

}  // namespace zhiyin
