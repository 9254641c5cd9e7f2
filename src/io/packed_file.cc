#include "io/packed_file.h"

#include <algorithm>
#include <cstring>
#include <vector>

#include "base/checksum.h"
#include "base/error.h"
#include "io/safetensors.h"

namespace zhiyin {
namespace {

constexpr const char* kModel = "zhiyin.model";
constexpr const char* kKey = "zhiyin.key";
constexpr const char* kChecksums = "zhiyin.checksums";
// Of the file's format; a part of the key.
constexpr uint64_t kVersion = 1;

constexpr uint64_t kPiece = uint64_t{4} << 20;  // bytes under one checksum
constexpr uint64_t kAlignment = 64;             // of a packed matrix

constexpr size_t kHexDigits = 16;

std::string hex(uint64_t value) {
  std::string text(kHexDigits, '0');
  for (size_t i = 0; i < kHexDigits; ++i) text[i] = "0123456789abcdef"[value >> (60 - 4 * i) & 15];
  return text;
}

// What makes keys: numbers and texts, one after the other.
class Sum {
 public:
  void add(uint64_t value) { value_ = checksum(&value, sizeof value, value_); }
  void add(std::string_view text) {
    add(text.size());
    value_ = checksum(text.data(), text.size(), value_);
  }
  uint64_t value() const { return value_; }

 private:
  uint64_t value_ = 0;
};

// What pack_rows makes of the same bytes in every format: whoever changes the packed form changes
// this, without a number to remember.
void add_packed_form(Sum& sum, const KernelTable& kernels) {
  constexpr int64_t kCols = 512;
  for (int i = 0; i < kFormatCount; ++i) {
    const auto format = static_cast<Format>(i);
    const int64_t bytes = kernels.packed_group_bytes(format, kCols);
    sum.add(static_cast<uint64_t>(bytes));
    if (bytes == 0) continue;
    const int64_t stride = row_bytes(format, kCols);
    std::vector<uint8_t> rows(static_cast<size_t>(stride * kPackRows));
    uint32_t state = 1;
    for (uint8_t& byte : rows) {
      state = state * 1664525 + 1013904223;
      byte = static_cast<uint8_t>(state >> 24);
    }
    std::vector<uint8_t> packed(static_cast<size_t>(bytes));
    kernels.pack_rows(format, rows.data(), stride, kPackRows, kCols, packed.data());
    sum.add(checksum(packed.data(), packed.size()));
  }
}

// What one checksum covers: at most kPiece bytes of one matrix.
struct Piece {
  uint64_t offset;  // in the data of all matrices
  uint64_t bytes;
};

// Of matrices of so many bytes each, which follow one another.
std::vector<Piece> pieces_of(const std::vector<uint64_t>& sizes) {
  std::vector<Piece> pieces;
  uint64_t begin = 0;
  for (const uint64_t size : sizes) {
    for (uint64_t at = 0; at < size; at += kPiece) {
      pieces.push_back({begin + at, std::min(kPiece, size - at)});
    }
    begin += size;
  }
  return pieces;
}

// A packed file whose header is sound.
class PackedFile {
 public:
  explicit PackedFile(const std::string& path) : path_(path), file_(open_safetensors(path)) {
    check(!file_.tensors.empty(), ErrorCode::kFailed, path, ": holds no packed weights");
    begin_ = static_cast<uint64_t>(file_.tensors.front().data - mapping().data());
    std::vector<uint64_t> sizes;
    for (const TensorEntry& tensor : file_.tensors) {
      sizes.push_back(tensor.bytes);
      bytes_ += tensor.bytes;
    }
    pieces_ = pieces_of(sizes);
  }

  const std::string& metadata(const char* name) const {
    const auto found = file_.metadata.find(name);
    check(found != file_.metadata.end(), ErrorCode::kFailed, path_, ": its header lacks ", name);
    return found->second;
  }
  const std::vector<TensorEntry>& tensors() const { return file_.tensors; }
  const MmapFile& mapping() const { return file_.tensors.front().file; }
  uint64_t begin() const { return begin_; }
  uint64_t bytes() const { return bytes_; }

  // Throws where a piece is not what its checksum says; piece_data(p) gives its bytes.
  template <typename PieceData>
  void check_pieces(ThreadPool& pool, uint64_t key, const PieceData& piece_data) const {
    const std::string& wanted = metadata(kChecksums);
    check(wanted.size() == pieces_.size() * kHexDigits, ErrorCode::kFailed, path_,
          ": its header has ", wanted.size(), " digits of checksums where ",
          pieces_.size() * kHexDigits, " are due");
    pool.parallel_for(static_cast<int64_t>(pieces_.size()), 1, [&](int64_t from, int64_t to) {
      for (auto i = static_cast<size_t>(from); i < static_cast<size_t>(to); ++i) {
        const Piece& piece = pieces_[i];
        const std::string found = hex(checksum(piece_data(piece), piece.bytes, key));
        check(wanted.compare(i * kHexDigits, kHexDigits, found) == 0, ErrorCode::kFailed, path_,
              ": bytes ", begin_ + piece.offset, " to ", begin_ + piece.offset + piece.bytes,
              " are not those of their checksum; the file is damaged");
      }
    });
  }

 private:
  std::string path_;
  SafetensorsFile file_;
  uint64_t begin_ = 0, bytes_ = 0;
  std::vector<Piece> pieces_;
};

}  // namespace

uint64_t packed_file_key(const KernelTable& kernels, const ModelFiles& files) {
  Sum sum;
  sum.add(kVersion);
  add_packed_form(sum, kernels);
  const MmapFile* last = nullptr;
  for (const TensorEntry& tensor : files.tensors) {
    if (last == nullptr || last->data() != tensor.file.data()) {
      last = &tensor.file;
      sum.add(last->size());
      sum.add(static_cast<uint64_t>(last->modified_ns()));
      sum.add(static_cast<uint64_t>(last->changed_ns()));
    }
    sum.add(tensor.name);
    sum.add(tensor.type);
    for (const int64_t size : tensor.shape) sum.add(static_cast<uint64_t>(size));
    sum.add(static_cast<uint64_t>(tensor.data - tensor.file.data()));
    sum.add(tensor.bytes);
  }
  return sum.value();
}

bool write_packed_file(const std::string& path, const std::string& model, uint64_t key,
                       std::span<const Weight> weights, const std::function<bool(int64_t)>& go_on) {
  SafetensorsWriter writer(path);
  std::vector<const Weight*> packed;
  std::vector<uint64_t> sizes;
  for (const Weight& weight : weights) {
    if (weight.packed() == nullptr) continue;
    const PackedWeight& w = *weight.packed();
    packed.push_back(&weight);
    sizes.push_back(static_cast<uint64_t>((w.rows + kPackRows - 1) / kPackRows * w.group_bytes));
    writer.add_bytes(weight.name(), static_cast<int64_t>(sizes.back()));
  }
  // Calls use(weight, its bytes from there on, how many) until go_on says no.
  int64_t done = 0;
  const auto for_pieces = [&](const auto& use) {
    for (size_t i = 0; i < packed.size(); ++i) {
      for (const Piece& piece : pieces_of({sizes[i]})) {
        use(*packed[i], packed[i]->packed()->data + piece.offset, piece.bytes);
        done += static_cast<int64_t>(piece.bytes);
        if (!go_on(done)) return false;
      }
    }
    return true;
  };
  std::string checksums;
  if (!for_pieces([&](const Weight&, const uint8_t* data, uint64_t bytes) {
        checksums += hex(checksum(data, bytes, key));
      })) {
    return false;
  }
  writer.set_metadata(kModel, model);
  writer.set_metadata(kKey, hex(key));
  writer.set_metadata(kChecksums, std::move(checksums));
  writer.align_data(kAlignment);
  writer.start();
  if (!for_pieces([&](const Weight& weight, const uint8_t* data, uint64_t bytes) {
        writer.write(weight.name(), data, bytes);
      })) {
    return false;
  }
  writer.finish(false);
  return true;
}

std::optional<PackedReading> read_packed_file(Context& context, const std::string& path,
                                              uint64_t key, std::span<const Weight> weights) {
  const PackedFile file(path);
  if (file.metadata(kKey) != hex(key)) return std::nullopt;
  const KernelTable& kernels = context.kernels();
  std::vector<const Weight*> packed;
  for (const Weight& weight : weights) {
    if (weight.packed_size(kernels) > 0) packed.push_back(&weight);
  }
  bool same = packed.size() == file.tensors().size();
  for (size_t i = 0; same && i < packed.size(); ++i) {
    const TensorEntry& tensor = file.tensors()[i];
    same = tensor.name == packed[i]->name() &&
           tensor.bytes == static_cast<uint64_t>(packed[i]->packed_size(kernels)) &&
           static_cast<uint64_t>(tensor.data - file.mapping().data()) % kAlignment == 0;
  }
  check(same, ErrorCode::kFailed, path, ": its matrices are not those of the model");

  const auto mapping = std::make_shared<const MmapFile>(file.mapping());
  const size_t on_large_pages = mapping->populate();
  const std::shared_ptr<const uint8_t> data{mapping, mapping->data() + file.begin()};
  file.check_pieces(context.pool(), key,
                    [&](const Piece& piece) { return data.get() + piece.offset; });
  uint64_t offset = 0;
  for (const Weight* weight : packed) {
    weight->use_packed(kernels, {data, data.get() + offset});
    offset += static_cast<uint64_t>(weight->packed_size(kernels));
  }
  return PackedReading{*mapping, on_large_pages};
}

std::string packed_file_model(const std::string& path) { return PackedFile(path).metadata(kModel); }

}  // namespace zhiyin
