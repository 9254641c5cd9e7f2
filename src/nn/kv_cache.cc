#include "nn/kv_cache.h"

#include <algorithm>
#include <cstring>
#include <functional>

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

// Pages come from regions of some, in which those of one head of a layer follow one another: what
// attention reads at a time is then one stretch of memory that the hardware runs ahead in, and a
// region is large enough for memory pages of 2 MB.
class KvCache::PagePool {
 public:
  // A page has `pieces` pieces of piece_bytes.
  PagePool(Allocator& allocator, int64_t pieces, int64_t piece_bytes, int64_t max_pages)
      : allocator_(allocator),
        pieces_(pieces),
        piece_bytes_(piece_bytes),
        pages_a_region_(
            std::clamp<int64_t>(kStretch / piece_bytes, 1, std::max<int64_t>(1, max_pages))) {}
  ~PagePool() { release_regions(); }
  PagePool(const PagePool&) = delete;
  PagePool& operator=(const PagePool&) = delete;

  int64_t in_use() const { return in_use_; }
  // Between the pieces of a page.
  int64_t stride() const { return pages_a_region_ * piece_bytes_; }

  uint8_t* take() {
    if (free_.empty()) add_region();
    std::pop_heap(free_.begin(), free_.end(), std::greater());
    uint8_t* page = free_.back();
    free_.pop_back();
    ++in_use_;
    return page;
  }
  void give_back(uint8_t* page) {
    add_free(page);
    if (--in_use_ == 0) release_regions();
  }
  void copy(const uint8_t* from, uint8_t* to) const {
    for (int64_t i = 0; i < pieces_; ++i) {
      std::memcpy(to + i * stride(), from + i * stride(), static_cast<size_t>(piece_bytes_));
    }
  }

 private:
  static constexpr int64_t kStretch = int64_t{256} << 10;

  size_t region_bytes() const { return static_cast<size_t>(pieces_ * stride()); }
  void add_region() {
    regions_.push_back(static_cast<uint8_t*>(allocator_.allocate(region_bytes())));
    for (int64_t i = 0; i < pages_a_region_; ++i) add_free(regions_.back() + i * piece_bytes_);
  }
  // The lowest is taken first, so that pages that follow one another go to one sequence.
  void add_free(uint8_t* page) {
    free_.push_back(page);
    std::push_heap(free_.begin(), free_.end(), std::greater());
  }
  void release_regions() {
    for (uint8_t* region : regions_) allocator_.release(region, region_bytes());
    regions_.clear();
    free_.clear();
  }

  Allocator& allocator_;
  int64_t pieces_, piece_bytes_, pages_a_region_;
  int64_t in_use_ = 0;
  std::vector<uint8_t*> regions_, free_;
};

struct KvCache::Page {
  explicit Page(PagePool& p) : pool(p), data(p.take()) {}
  ~Page() { pool.give_back(data); }
  Page(const Page&) = delete;
  Page& operator=(const Page&) = delete;

  PagePool& pool;
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
      max_pages_((max_tokens + kKvPageTokens - 1) / kKvPageTokens),
      pool_(std::make_unique<PagePool>(context.allocator(), shape.layers * shape.kv_heads,
                                       2 * head_bytes_, max_pages_)) {}

KvCache::~KvCache() = default;

int64_t KvCache::bytes() const { return pool_->in_use() * page_bytes_; }

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
  check(pool_->in_use() < max_pages_, ErrorCode::kOutOfMemory, "kv cache: ", wanted,
        " tokens more for sequence ", sequence, " do not fit; it holds ", max_tokens(),
        " tokens over all sequences");
  return std::make_shared<Page>(*pool_);
}

void KvCache::reserve(int sequence, int64_t count) {
  Sequence& s = at(sequence);
  const int64_t pages = (s.length + count + kKvPageTokens - 1) / kKvPageTokens;
  const auto partly_full = static_cast<size_t>(s.length / kKvPageTokens);
  if (count > 0 && partly_full < s.pages.size() && s.pages[partly_full].use_count() > 1) {
    auto copy = new_page(sequence, count);
    pool_->copy(s.pages[partly_full]->data, copy->data);
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
    uint8_t* keys = page + offset(layer, h);
    context_.kernels().write_kv(
        {type_, dim, position % kKvPageTokens, k + h * dim, v + h * dim, keys, keys + head_bytes_});
  }
}

CachedSequence KvCache::view(int64_t layer, int sequence) const {
  return {at(sequence).data.data(), offset(layer, 0), offset(layer, 0) + head_bytes_,
          pool_->stride()};
}

int64_t KvCache::offset(int64_t layer, int64_t head) const {
  return (layer * shape_.kv_heads + head) * pool_->stride();
}

}  // namespace zhiyin
