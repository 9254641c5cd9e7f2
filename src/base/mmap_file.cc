#include "base/mmap_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "base/error.h"

namespace zhiyin {

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
  if (end <= begin || end > mapping_->size) return;
  madvise(const_cast<uint8_t*>(mapping_->data) + begin, end - begin, MADV_DONTNEED);
}

}  // namespace zhiyin
