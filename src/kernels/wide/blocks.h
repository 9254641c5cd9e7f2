// Rows to blocks and back (kernels.h), for vectors of any width.
#pragma once

#include "kernels/kernels.h"
#include "kernels/wide/math.h"

namespace zhiyin::wide {
namespace {

template <typename L>
void blocks_from_rows_bf16(const BlocksFromRowsArgs& args) {
  constexpr int64_t kBlock = kBlockRows * kPanelCols;
  const int64_t steps = (args.cols + kPanelCols - 1) / kPanelCols;
  for (int64_t r = 0; r < kBlockRows; ++r) {
    const float* x = args.x + r * args.x_stride;
    uint16_t* target = args.blocks + r * kPanelCols;
    for (int64_t step = 0; step < steps; ++step, target += kBlock) {
      const int64_t left = r < args.rows ? args.cols - step * kPanelCols : 0;
      for (int64_t i = 0; i < kPanelCols; i += L::kCount) {
        if (left >= i + L::kCount) {
          L::store_bf16(target + i, typename L::All{},
                        L::load(x + step * kPanelCols + i, typename L::All{}));
        } else if (left > i) {
          const typename L::Some part(left - i);
          L::store_bf16(target + i, typename L::All{}, L::load(x + step * kPanelCols + i, part));
        } else {
          L::store_bf16(target + i, typename L::All{}, L::set(0));
        }
      }
    }
  }
}

template <typename L>
void rows_from_sums(const RowsFromSumsArgs& args) {
  const int64_t count = (args.cols + kPanelCols - 1) / kPanelCols;
  constexpr int64_t kBlock = kBlockRows * kPanelCols;
  for (int64_t r = 0; r < args.rows; ++r) {
    const float* sums = args.sums + r / kBlockRows * count * kBlock + r % kBlockRows * kPanelCols;
    float* y = args.y + r * args.y_stride;
    for (int64_t j = 0; j < args.cols; j += kPanelCols, sums += kBlock) {
      const int64_t left = args.cols - j;
      for_lanes<L>(left < kPanelCols ? left : kPanelCols, [&](int64_t i, auto part) {
        const typename L::Vec sum = L::load(sums + i, part);
        L::store(y + j + i, part, args.accumulate ? L::add(L::load(y + j + i, part), sum) : sum);
      });
    }
  }
}

}  // namespace
}  // namespace zhiyin::wide
