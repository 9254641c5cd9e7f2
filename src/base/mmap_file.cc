#include "base/mmap_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <sstream>
#include <utility>

#include "base/error.h"
#include "base/large_pages.h"

namespace zhiyin {
namespace {

int64_t nanoseconds(const timespec& time) {
  return int64_t{time.tv_sec} * 1'000'000'000 + time.tv_nsec;
}

// Bytes of the mapping at `data` that lie on pages of 2 MB, as /proc/self/smaps tells.
size_t bytes_on_large_pages(const uint8_t* data) {
  std::ostringstream start;
  start << std::hex << reinterpret_cast<size_t>(data) << '-';
  std::ifstream maps("/proc/self/smaps");
  bool mine = false;
  for (std::string line; std::getline(maps, line);) {
    if (line.starts_with(start.str())) mine = true;
    if (!mine || !line.starts_with("FilePmdMapped:")) continue;
    return size_t{std::strtoull(line.c_str() + sizeof "FilePmdMapped:", nullptr, 10)} << 10;
  }
  return 0;
}

}  // namespace

MmapFile::MmapFile(const std::string& path) {
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  check(fd >= 0, ErrorCode::kNotFound, path, ": ", std::strerror(errno));
  struct stat status{};
  if (fstat(fd, &status) != 0 || !S_ISREG(status.st_mode)) {
    close(fd);
    fail(ErrorCode::kNotFound, path, ": is not a regular file");
  }
  auto mapping = std::make_shared<Mapping>();
  mapping->path = path;
  mapping->size = static_cast<size_t>(status.st_size);
  mapping->modified_ns = nanoseconds(status.st_mtim);
  mapping->changed_ns = nanoseconds(status.st_ctim);
  if (mapping->size > 0) {
    void* address = mmap(nullptr, mapping->size, PROT_READ, MAP_SHARED, fd, 0);
    if (address == MAP_FAILED) {
      const int reason = errno;
      close(fd);
      mapping->size = 0;
      fail(ErrorCode::kFailed, path, ": cannot be mapped: ", std::strerror(reason));
    }
    mapping->data = static_cast<const uint8_t*>(address);
  }
  close(fd);
  mapping_ = std::move(mapping);
}

MmapFile::Mapping::~Mapping() {
  if (data != nullptr) munmap(const_cast<uint8_t*>(data), size);
}

void MmapFile::release(size_t offset, size_t size) const {
  const size_t page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  const size_t begin = (offset + page - 1) / page * page;
  const size_t end = (offset + size) / page * page;
  if (end <= begin || end > mapping_->size || mapping_->moved) return;
  madvise(const_cast<uint8_t*>(mapping_->data) + begin, end - begin, MADV_DONTNEED);
}

size_t MmapFile::populate() const {
  if (mapping_->data == nullptr) return 0;
  auto* const data = const_cast<uint8_t*>(mapping_->data);
  // Wishes, both: a kernel without them maps the pages when they are touched.
  madvise(data, mapping_->size, MADV_HUGEPAGE);
  madvise(data, mapping_->size, MADV_POPULATE_READ);
  return bytes_on_large_pages(data);
}

bool MmapFile::move_to_large_pages(const std::function<bool(size_t done)>& go_on) const {
  constexpr size_t kWindow = 8 * kLargePage;
  size_t window = kLargePage;  // the first, from which the caller may judge what the others cost
  const auto start = reinterpret_cast<size_t>(mapping_->data);
  const size_t end = (start + mapping_->size) / kLargePage * kLargePage;
  for (size_t at = to_large_page(start); at < end;) {
    const size_t size = std::min(std::exchange(window, kWindow), end - at);
    uint8_t* const copy = map_large_pages(size);
    if (copy == nullptr) return false;
    std::memcpy(copy, mapping_->data + (at - start), size);
    mprotect(copy, size, PROT_READ);
    mapping_->moved = true;
    // The kernel does it in one step: who reads these pages meanwhile waits for it.
    if (mremap(copy, size, size, MREMAP_MAYMOVE | MREMAP_FIXED, reinterpret_cast<void*>(at)) ==
        MAP_FAILED) {
      munmap(copy, size);
      return false;
    }
    at += size;
    if (!go_on(at - start)) return false;
  }
  return true;
}

}  // namespace zhiyin
