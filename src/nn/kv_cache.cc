#include "nn/kv_cache.h"

#include <cstring>

#include "base/error.h"

namespace zhiyin {
namespace {

int64_t row_bytes_of(KvType type, int64_t head_dim) {
  switch (type) {
    case KvType::kF32:
      return head_dim * 4;
    case KvType::kF16:
      return head_dim * 2;
    case KvType::kQ8_0:
      check(head_dim % 32 == 0, ErrorCode::kUnsupported,
            "kv cache: q8_0 needs a head size that is ", "a multiple of 32, not ", head_dim,
            "; use f16");
      return row_bytes(Format::kQ8_0, head_dim);
  }
  return 0;
}

}  // namespace

struct KvCache::Page {
  Page(Allocator& a, int64_t size, int64_t& counter)
      : allocator(a),
        bytes(static_cast<size_t>(size)),
        in_use(counter),
        data(static_cast<uint8_t*>(a.allocate(bytes))) {
    ++in_use;
  }
  ~Page() {
    --in_use;
    allocator.release(data, bytes);
  }
  Page(const Page&) = delete;
  Page& operator=(const Page&) = delete;

  Allocator& allocator;
  size_t bytes;
  int64_t& in_use;
  uint8_t* data;
};

int64_t kv_bytes_per_token(const KvShape& shape, KvType type) {
  return shape.layers * 2 * shape.kv_heads * row_bytes_of(type, shape.head_dim);
}

KvCache::KvCache(Context& context, const KvShape& shape, KvType type, int64_t max_tokens)
    : context_(context),
      shape_(shape),
      type_(type),
      row_bytes_(row_bytes_of(type, shape.head_dim)),
      page_bytes_(kv_bytes_per_token(shape, type) * kKvPageTokens),
      max_pages_((max_tokens + kKvPageTokens - 1) / kKvPageTokens) {}

KvCache::~KvCache() = default;

KvCache::Sequence& KvCache::at(int sequence) {
  const auto found = sequences_.find(sequence);
  check(found != sequences_.end(), ErrorCode::kFailed, "kv cache: there is no sequence ", sequence);
  return found->second;
}

const KvCache::Sequence& KvCache::at(int sequence) const {
  return const_cast<KvCache*>(this)->at(sequence);
}

int KvCache::add_sequence() {
  sequences_[next_sequence_];
  return next_sequence_++;
}

int KvCache::fork(int sequence, int64_t length) {
  Sequence copy = at(sequence);
  check(length <= copy.length, ErrorCode::kFailed, "kv cache: sequence ", sequence, " has ",
        copy.length, " tokens, not ", length);
  copy.length = length;
  copy.pages.resize(static_cast<size_t>((length + kKvPageTokens - 1) / kKvPageTokens));
  sequences_[next_sequence_] = std::move(copy);
  return next_sequence_++;
}

void KvCache::remove(int sequence) { sequences_.erase(sequence); }

void KvCache::truncate(int sequence, int64_t length) {
  Sequence& s = at(sequence);
  check(length <= s.length, ErrorCode::kFailed, "kv cache: sequence ", sequence, " has ", s.length,
        " tokens, not ", length);
  s.length = length;
  s.pages.resize(static_cast<size_t>((length + kKvPageTokens - 1) / kKvPageTokens));
}

std::shared_ptr<KvCache::Page> KvCache::new_page(int sequence, int64_t wanted) {
  check(pages_in_use_ < max_pages_, ErrorCode::kOutOfMemory, "kv cache: ", wanted,
        " tokens more for sequence ", sequence, " do not fit; it holds ", max_tokens(),
        " tokens over all sequences");
  return std::make_shared<Page>(context_.allocator(), page_bytes_, pages_in_use_);
}

void KvCache::reserve(int sequence, int64_t count) {
  Sequence& s = at(sequence);
  const int64_t pages = (s.length + count + kKvPageTokens - 1) / kKvPageTokens;
  const auto partly_full = static_cast<size_t>(s.length / kKvPageTokens);
  if (count > 0 && partly_full < s.pages.size() && s.pages[partly_full].use_count() > 1) {
    auto copy = new_page(sequence, count);
    std::memcpy(copy->data, s.pages[partly_full]->data, static_cast<size_t>(page_bytes_));
    s.pages[partly_full] = std::move(copy);
  }
  while (static_cast<int64_t>(s.pages.size()) < pages) s.pages.push_back(new_page(sequence, count));
}

void KvCache::write(int64_t layer, int sequence, int64_t position, const float* k, const float* v) {
  uint8_t* page = at(sequence).pages[static_cast<size_t>(position / kKvPageTokens)]->data;
  const int64_t dim = shape_.head_dim;
  for (const bool value : {false, true}) {
    const float* source = value ? v : k;
    for (int64_t h = 0; h < shape_.kv_heads; ++h) {
      uint8_t* target = page + offset(layer, value, h, position % kKvPageTokens);
      const float* row = source + h * dim;
      switch (type_) {
        case KvType::kF32:
          std::memcpy(target, row, static_cast<size_t>(row_bytes_));
          break;
        case KvType::kF16:
          context_.kernels().f32_to_f16(row, reinterpret_cast<uint16_t*>(target), dim);
          break;
        case KvType::kQ8_0:
          context_.kernels().quantize_q8_0(row, target, dim);
          break;
      }
    }
  }
}

CachedSequence KvCache::view(int64_t layer, int sequence) const {
  const Sequence& s = at(sequence);
  CachedSequence view;
  view.pages = static_cast<int64_t>(s.pages.size());
  view.key_pages.reserve(s.pages.size() * static_cast<size_t>(shape_.kv_heads));
  view.value_pages.reserve(view.key_pages.capacity());
  for (int64_t h = 0; h < shape_.kv_heads; ++h) {
    for (const auto& page : s.pages) {
      view.key_pages.push_back(page->data + offset(layer, false, h, 0));
      view.value_pages.push_back(page->data + offset(layer, true, h, 0));
    }
  }
  return view;
}

}  // namespace zhiyin
