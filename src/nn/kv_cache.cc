#include "nn/kv_cache.h"

#include <cstring>

#include "base/error.h"
#include "kernels/kv_page.h"

namespace zhiyin {
namespace {

int64_t head_bytes_of(KvType type, int64_t head_dim) {
  check(type != KvType::kQ8_0 || head_dim % kScaleBlock == 0, ErrorCode::kUnsupported,
        "kv cache: q8_0 needs a head size that is ", "a multiple of 32, not ", head_dim,
        "; use f16");
  return kv_page_bytes(type, head_dim);
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
  return shape.layers * 2 * shape.kv_heads * head_bytes_of(type, shape.head_dim) / kKvPageTokens;
}

KvCache::KvCache(Context& context, const KvShape& shape, KvType type, int64_t max_tokens)
    : context_(context),
      shape_(shape),
      type_(type),
      head_bytes_(head_bytes_of(type, shape.head_dim)),
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
  copy.keep_pages((length + kKvPageTokens - 1) / kKvPageTokens);
  sequences_[next_sequence_] = std::move(copy);
  return next_sequence_++;
}

void KvCache::remove(int sequence) { sequences_.erase(sequence); }

void KvCache::truncate(int sequence, int64_t length) {
  Sequence& s = at(sequence);
  check(length <= s.length, ErrorCode::kFailed, "kv cache: sequence ", sequence, " has ", s.length,
        " tokens, not ", length);
  s.length = length;
  s.keep_pages((length + kKvPageTokens - 1) / kKvPageTokens);
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
    s.data[partly_full] = copy->data;
    s.pages[partly_full] = std::move(copy);
  }
  while (static_cast<int64_t>(s.pages.size()) < pages) {
    s.pages.push_back(new_page(sequence, count));
    s.data.push_back(s.pages.back()->data);
  }
}

void KvCache::write(int64_t layer, int sequence, int64_t position, const float* k, const float* v) {
  uint8_t* page = at(sequence).pages[static_cast<size_t>(position / kKvPageTokens)]->data;
  const int64_t dim = shape_.head_dim;
  for (int64_t h = 0; h < shape_.kv_heads; ++h) {
    context_.kernels().write_kv({type_, dim, position % kKvPageTokens, k + h * dim, v + h * dim,
                                 page + offset(layer, false, h), page + offset(layer, true, h)});
  }
}

CachedSequence KvCache::view(int64_t layer, int sequence) const {
  return {at(sequence).data.data(), offset(layer, false, 0), offset(layer, true, 0), head_bytes_};
}

}  // namespace zhiyin
