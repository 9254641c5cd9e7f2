#include <algorithm>
#include <cmath>
#include <limits>

#include "kernels/attend_scratch.h"
#include "kernels/kv_page.h"
#include "kernels/ref/kernels_ref.h"
#include "quant/blocks.h"
#include "quant/half.h"

namespace zhiyin::ref {
namespace {

float read_element(KvType type, const void* page, int64_t index, uint16_t scale) {
  switch (type) {
    case KvType::kF32:
      return static_cast<const float*>(page)[index];
    case KvType::kF16:
      return half_to_float(static_cast<const uint16_t*>(page)[index]);
    case KvType::kQ8_0:
      return half_to_float(scale) * static_cast<float>(static_cast<const int8_t*>(page)[index]);
  }
  return 0;
}

void read_key(KvType type, const void* page, int64_t token, int64_t head_dim, float* target) {
  const uint16_t* scales = page_scales(page, head_dim);
  for (int64_t i = 0; i < head_dim; ++i) {
    const uint16_t scale =
        type == KvType::kQ8_0 ? scales[i / kScaleBlock * kKvPageTokens + token] : uint16_t{0};
    target[i] = read_element(type, page, key_index(head_dim, token, i), scale);
  }
}

void read_value(KvType type, const void* page, int64_t token, int64_t head_dim, float* target) {
  const uint16_t* scales = page_scales(page, head_dim) + token * (head_dim / kScaleBlock);
  for (int64_t i = 0; i < head_dim; ++i) {
    const uint16_t scale = type == KvType::kQ8_0 ? scales[i / kScaleBlock] : uint16_t{0};
    target[i] = read_element(type, page, token * head_dim + i, scale);
  }
}

}  // namespace

void write_kv(const WriteKvArgs& args) {
  const int64_t n = args.head_dim, t = args.token;
  switch (args.type) {
    case KvType::kF32:
      for (int64_t i = 0; i < n; ++i) {
        static_cast<float*>(args.keys)[key_index(n, t, i)] = args.k[i];
        static_cast<float*>(args.values)[t * n + i] = args.v[i];
      }
      return;
    case KvType::kF16:
      for (int64_t i = 0; i < n; ++i) {
        static_cast<uint16_t*>(args.keys)[key_index(n, t, i)] = float_to_half(args.k[i]);
        static_cast<uint16_t*>(args.values)[t * n + i] = float_to_half(args.v[i]);
      }
      return;
    case KvType::kQ8_0:
      for (int64_t b = 0; b < n / kScaleBlock; ++b) {
        const int64_t first = b * kScaleBlock;
        BlockQ8_0 block;
        format_info(Format::kQ8_0).pack(args.k + first, &block, kScaleBlock, nullptr);
        for (int64_t i = 0; i < kScaleBlock; ++i) {
          static_cast<int8_t*>(args.keys)[key_index(n, t, first + i)] = block.qs[i];
        }
        page_scales(args.keys, n)[b * kKvPageTokens + t] = block.d;
        format_info(Format::kQ8_0).pack(args.v + first, &block, kScaleBlock, nullptr);
        std::copy_n(block.qs, kScaleBlock, static_cast<int8_t*>(args.values) + t * n + first);
        page_scales(args.values, n)[t * (n / kScaleBlock) + b] = block.d;
      }
      return;
  }
}

// One key at a time, with the running maximum and sum of Milakov and Gimelshein 2018.
void attend(const AttendArgs& args) {
  const int64_t n = args.head_dim;
  float* row = attend_scratch(args.scratch, n, args.rows).values;
  for (int64_t r = 0; r < args.rows; ++r) {
    int64_t first = args.first[r];
    int64_t last = args.last[r];
    if (args.partial != nullptr) {
      first = std::max(first, args.split_begin);
      last = std::min(last, args.split_end);
    }
    float* out = args.out[r];
    std::fill_n(out, n, 0.0f);
    float largest = -std::numeric_limits<float>::infinity();
    float sum = 0;
    for (int64_t t = first; t < last; ++t) {
      const int64_t page = t / kKvPageTokens;
      read_key(args.type, args.pages[page] + args.key_offset, t % kKvPageTokens, n, row);
      float score = args.scale * dot(args.q[r], row, n);
      if (args.softcap > 0) score = args.softcap * std::tanh(score / args.softcap);
      if (score > largest) {
        const float shrink = std::exp(largest - score);
        scale(shrink, out, out, n);
        sum *= shrink;
        largest = score;
      }
      const float weight = std::exp(score - largest);
      sum += weight;
      read_value(args.type, args.pages[page] + args.value_offset, t % kKvPageTokens, n, row);
      axpy(weight, row, out, n);
    }
    if (args.partial != nullptr) {
      args.partial[2 * r] = largest;
      args.partial[2 * r + 1] = sum;
    } else if (sum > 0) {
      scale(1.0f / sum, out, out, n);
    }
  }
}

}  // namespace zhiyin::ref
