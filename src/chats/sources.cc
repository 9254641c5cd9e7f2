#include "chats/sources.h"

#include <algorithm>
#include <filesystem>
#include <unordered_set>

#include "base/error.h"
#include "base/utf8.h"
#include "chats/importer.h"
#include "chats/input_file.h"

namespace zhiyin::chats {
namespace {

namespace fs = std::filesystem;

constexpr size_t kBytesShown = 200;

struct Source {
  InputFile file;
  const Importer* importer;
};

std::string formats_read() {
  std::vector<std::string_view> formats;
  for (const Importer* importer : importers()) formats.push_back(importer->reads);
  return join(formats, "; ");
}

// A file that was named must be an export; in a folder, what is none is passed over and listed.
void add_named(const std::string& path, std::vector<Source>& found) {
  check(!fs::is_empty(path), ErrorCode::kFailed, path, ": is empty; export the chat again");
  const InputFile file(path);
  const Importer* importer = find_importer(file);
  check(importer != nullptr, ErrorCode::kFailed, path,
        ": is no chat export that zhiyin knows; it reads ", formats_read());
  found.push_back({file, importer});
}

void add_inside(const std::string& path, std::unordered_set<std::string>& seen,
                std::vector<Source>& found, std::vector<std::string>& skipped) {
  std::vector<Source> inside;
  std::unordered_set<std::string> kinds;  // folder and importer
  for (InputFile& file : files_of(path)) {
    if (!seen.insert(fs::weakly_canonical(file.path())).second) continue;
    const Importer* importer = find_importer(file);
    if (importer == nullptr) {
      skipped.push_back(file.path());
      continue;
    }
    kinds.insert(cat(file.folder(), '\0', importer->name));
    inside.push_back({std::move(file), importer});
  }
  bool any = false;
  std::unordered_set<std::string_view> beside;
  for (const Source& source : inside) beside.insert(source.importer->beside);
  std::erase_if(skipped, [&](const std::string& other) {
    return beside.contains(std::string_view(other).substr(other.rfind('/') + 1));
  });
  for (Source& source : inside) {
    const bool twice = !source.importer->instead_of.empty() &&
                       kinds.contains(cat(source.file.folder(), '\0', source.importer->instead_of));
    if (twice) {
      skipped.push_back(source.file.path());
    } else {
      found.push_back(std::move(source));
      any = true;
    }
  }
  check(any, ErrorCode::kNotFound, path, ": holds no chat export that zhiyin knows; it reads ",
        formats_read());
}

bool is_archive(const std::string& path) { return ZipArchive::recognises(InputFile(path).head(4)); }

}  // namespace

Sources read_sources(Ledger& ledger, const std::vector<std::string>& paths,
                     const ProgressCallback& progress, const std::function<void(Message&)>& edit) {
  check(!paths.empty(), ErrorCode::kUsage, "no chat export given; name a file or a folder");
  Sources sources;
  std::vector<Source> found;
  std::unordered_set<std::string> seen;  // the same file named twice is read once
  for (const std::string& path : paths) {
    check(fs::exists(path), ErrorCode::kNotFound, path, ": no such file or folder");
    if (fs::is_directory(path) || is_archive(path)) {
      add_inside(path, seen, found, sources.skipped);
    } else if (seen.insert(fs::canonical(path)).second) {
      add_named(path, found);
    }
  }
  int64_t total = 0, done = 0;
  for (const Source& source : found) total += static_cast<int64_t>(source.file.size());
  for (const Source& source : found) {
    sources.files.push_back(source.file.path());
    constexpr int64_t kStep = 4096;
    const int64_t before = source.file.bytes_read();
    source.importer->read(source.file, [&](Message&& message) {
      if (edit) edit(message);
      ledger.add(message);
      if (ledger.message_count() % kStep == 0) {
        const int64_t bytes = done + source.file.bytes_read() - before;
        report(progress, "read", std::min(bytes, total), total);
      }
    });
    done += static_cast<int64_t>(source.file.size());
  }
  check(ledger.message_count() > 0, ErrorCode::kFailed, join(sources.files),
        ": there are no messages in it; export the chat again");
  if (ledger.people().empty()) {
    for (const DamagedRecord& record : ledger.damaged(1)) {
      fail(ErrorCode::kFailed, record.file, ": ", printable(record.what, kBytesShown),
           ", and nobody speaks before or behind it; export the chat again");
    }
  }
  report(progress, "read", total, total);
  return sources;
}

}  // namespace zhiyin::chats
