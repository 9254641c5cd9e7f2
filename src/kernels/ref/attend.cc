#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "kernels/attend_scratch.h"
#include "kernels/ref/kernels_ref.h"
#include "quant/formats.h"

namespace zhiyin::ref {
namespace {

// Row `token` of a page as floats.
void read_row(KvType type, const void* page, int64_t token, int64_t head_dim, float* target) {
  const auto* bytes = static_cast<const uint8_t*>(page);
  switch (type) {
    case KvType::kF32:
      std::memcpy(target, static_cast<const float*>(page) + token * head_dim,
                  static_cast<size_t>(head_dim) * sizeof(float));
      break;
    case KvType::kF16:
      f16_to_f32(static_cast<const uint16_t*>(page) + token * head_dim, target, head_dim);
      break;
    case KvType::kQ8_0: {
      const FormatInfo& info = format_info(Format::kQ8_0);
      info.unpack(bytes + token * (head_dim / info.block) * info.block_bytes, target, head_dim);
      break;
    }
  }
}

}  // namespace

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
      read_row(args.type, args.key_pages[page], t % kKvPageTokens, n, row);
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
      read_row(args.type, args.value_pages[page], t % kKvPageTokens, n, row);
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
