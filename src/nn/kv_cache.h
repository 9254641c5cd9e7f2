// Keys and values of many sequences, in pages of tokens. Sequences share pages by reference and
// copy a shared page before they write to it, so a server can batch them, a prefix cache keep them
// and a tree search fork them with the same structure (the paging of Kwon et al. 2023).
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <vector>

#include "ops/ops.h"

namespace zhiyin {

struct KvShape {
  int64_t layers = 0, kv_heads = 0, head_dim = 0;
};

// Bytes that one token takes in all layers.
int64_t kv_bytes_per_token(const KvShape& shape, KvType type);

// A thread that changes a sequence must be alone with the cache; writes of different positions of
// reserved space may run at the same time.
class KvCache {
 public:
  // Pages are allocated as they are needed, up to max_tokens over all sequences, rounded up to
  // pages. Throws kUnsupported where the type cannot hold the head size.
  KvCache(Context& context, const KvShape& shape, KvType type, int64_t max_tokens);
  ~KvCache();

  KvType type() const { return type_; }
  const KvShape& shape() const { return shape_; }

  int add_sequence();
  // A new sequence with the first `length` tokens of another.
  int fork(int sequence, int64_t length);
  void remove(int sequence);
  int64_t length(int sequence) const { return at(sequence).length; }
  // Drops what is behind the first `length` tokens.
  void truncate(int sequence, int64_t length);

  int64_t max_tokens() const { return max_pages_ * kKvPageTokens; }
  // Of the pages that sequences hold.
  int64_t bytes() const;

  // For a forward pass: space for `count` tokens behind the sequence's last, then its keys and
  // values, then advance. Throws kOutOfMemory with the counts when the cache is full.
  void reserve(int sequence, int64_t count);
  // k and v: [kv_heads, head_dim] of the token at `position` in a layer.
  void write(int64_t layer, int sequence, int64_t position, const float* k, const float* v);
  void advance(int sequence, int64_t count) { at(sequence).length += count; }
  // The pages of a layer, for attention_cached; valid until the sequence changes.
  CachedSequence view(int64_t layer, int sequence) const;

 private:
  class PagePool;
  struct Page;
  struct Sequence {
    int64_t length = 0;
    std::vector<std::shared_ptr<Page>> pages;
    std::vector<const uint8_t*> data;  // of the pages

    void keep_pages(int64_t count) {
      pages.resize(static_cast<size_t>(count));
      data.resize(pages.size());
    }
  };
  Sequence& at(int sequence);
  const Sequence& at(int sequence) const;
  std::shared_ptr<Page> new_page(int sequence, int64_t wanted);
  // Of a head's keys from where a page begins; its values follow them.
  int64_t offset(int64_t layer, int64_t head) const;

  Context& context_;
  KvShape shape_;
  KvType type_;
  int64_t head_bytes_, page_bytes_, max_pages_;
  std::unique_ptr<PagePool> pool_;  // outlives the pages
  std::map<int, Sequence> sequences_;
  int next_sequence_ = 0;
};

}  // namespace zhiyin
