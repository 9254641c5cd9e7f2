// The searches for a block's scale (and min) that the encoders share: least squares over a few
// dozen candidate scales, eight blocks at a time. Order of operations as in ggml (make_qx_quants,
// make_qkx2_quants, make_qkx3_quants, make_q3_quants, make_qp_quants), so that results are equal to
// the last bit.
#pragma once

#include <cmath>
#include <cstring>

#include "quant/lanes.h"

namespace zhiyin {

// Below this a block counts as zero.
inline constexpr float kNoMagnitude = 1e-15f;

template <int kSize>
struct SymmetricFit {  // x = scale * (code - offset)
  float scale[kLanes];
  uint8_t codes[kLanes * kSize];  // block after block
};

template <int kSize>
struct AffineFit {  // x = scale * code - min
  float scale[kLanes];
  float min[kLanes];
  uint8_t codes[kLanes * kSize];
};

// Candidates for an affine fit: iscale = (first + step * k + max_code) / range, k = 0 .. steps.
struct AffineSearch {
  int max_code;
  float first, step;
  int steps;
  bool absolute_error;  // minimise sum w |e| instead of sum w e^2
};

template <int kSize>
ZY_INLINE void store_codes(const Floats (&lane_codes)[kSize], uint8_t* codes) {
  for (int i = 0; i < kSize; ++i) {
    for (int k = 0; k < kLanes; ++k) {
      codes[k * kSize + i] = static_cast<uint8_t>(lane_codes[i][k]);
    }
  }
}

ZY_INLINE void store_lanes(const Floats& values, float* target) {
  std::memcpy(target, &values, sizeof values);
}

// The element of largest magnitude of each block, with its sign; the first of equals.
template <int kSize>
ZY_INLINE Floats signed_extreme(const Floats (&x)[kSize], Floats* magnitude) {
  Floats largest{}, extreme{};
  for (int i = 0; i < kSize; ++i) {
    const Floats size = absolute(x[i]);
    const Ints larger = size > largest;
    largest = larger ? size : largest;
    extreme = larger ? x[i] : extreme;
  }
  *magnitude = largest;
  return extreme;
}

// Codes 0 .. 2 * offset - 1, weights w of the squared error. Tries the scale that maps the extreme
// to code 0 and 18 neighbours.
template <int kSize>
ZY_INLINE void fit_symmetric(const Floats (&x)[kSize], const Floats (&w)[kSize], int offset,
                             SymmetricFit<kSize>* fit) {
  Floats magnitude;
  const Floats extreme = signed_extreme(x, &magnitude);
  const Ints empty = magnitude < kNoMagnitude;

  Floats wx[kSize];
  for (int i = 0; i < kSize; ++i) wx[i] = w[i] * x[i];
  Floats best_inverse{}, scale{}, best{};
  for (int candidate = 0; candidate <= 18; ++candidate) {
    // 0 first, then -9 .. 9 without 0
    const int k = candidate == 0 ? 0 : candidate <= 9 ? candidate - 10 : candidate - 9;
    const float top = static_cast<float>(offset) + 0.1f * static_cast<float>(k);
    const Floats inverse = -top / extreme;
    Floats sum_lx{}, sum_l2{};
    for (int i = 0; i < kSize; ++i) {
      const Floats code = round_to(inverse * x[i], -offset, offset - 1);
      sum_lx += wx[i] * code;
      sum_l2 += w[i] * code * code;
    }
    const Floats candidate_scale = sum_lx / sum_l2;
    const Ints better =
        candidate == 0 ? sum_l2 != 0.0f : (sum_l2 > 0.0f) & (sum_lx * sum_lx > best * sum_l2);
    if (candidate == 0) best_inverse = inverse;
    best_inverse = better ? inverse : best_inverse;
    scale = better ? candidate_scale : scale;
    best = better ? candidate_scale * sum_lx : best;
  }

  store_lanes(empty ? Floats{} : scale, fit->scale);
  Floats codes[kSize];
  for (int i = 0; i < kSize; ++i) {
    const Floats code = round_to(best_inverse * x[i], -offset, offset - 1);
    codes[i] = empty ? Floats{} : code + static_cast<float>(offset);
  }
  store_codes(codes, fit->codes);
}

// Codes 0 .. 2 * offset - 1, weights x^2: starts from the scale that maps the extreme to code 0,
// then moves single codes to their optimum under the current scale, in up to five sweeps.
template <int kSize>
ZY_INLINE void fit_symmetric_by_descent(const Floats (&x)[kSize], int offset,
                                        SymmetricFit<kSize>* fit) {
  Floats magnitude;
  const Floats extreme = signed_extreme(x, &magnitude);
  const Ints empty = magnitude < kNoMagnitude;
  const Floats inverse = -static_cast<float>(offset) / extreme;

  Floats codes[kSize];
  Floats sum_lx{}, sum_l2{};
  for (int i = 0; i < kSize; ++i) {
    codes[i] = round_to(inverse * x[i], -offset, offset - 1);
    const Floats w = x[i] * x[i];
    sum_lx += w * x[i] * codes[i];
    sum_l2 += w * codes[i] * codes[i];
  }
  for (int sweep = 0; sweep < 5; ++sweep) {
    Ints any_moved{};
    for (int i = 0; i < kSize; ++i) {
      const Floats w = x[i] * x[i];
      const Floats rest_lx = sum_lx - w * x[i] * codes[i];
      const Floats rest_l2 = sum_l2 - w * codes[i] * codes[i];
      const Floats code = round_to(x[i] * rest_l2 / rest_lx, -offset, offset - 1);
      const Floats new_lx = rest_lx + w * x[i] * code;
      const Floats new_l2 = rest_l2 + w * code * code;
      const Ints moved = (rest_lx > 0.0f) & (code != codes[i]) & (new_l2 > 0.0f) &
                         (new_lx * new_lx * sum_l2 > sum_lx * sum_lx * new_l2);
      codes[i] = moved ? code : codes[i];
      sum_lx = moved ? new_lx : sum_lx;
      sum_l2 = moved ? new_l2 : sum_l2;
      any_moved |= moved;
    }
    int lanes_moved = 0;
    for (int k = 0; k < kLanes; ++k) lanes_moved |= any_moved[k];
    if (lanes_moved == 0) break;
  }
  const Floats scale = sum_l2 > 0.0f ? sum_lx / sum_l2 : Floats{};
  store_lanes(empty ? Floats{} : scale, fit->scale);
  for (int i = 0; i < kSize; ++i) {
    codes[i] = empty ? Floats{} : codes[i] + static_cast<float>(offset);
  }
  store_codes(codes, fit->codes);
}

// Codes 0 .. max_code, weights w of the error. min is never negative.
template <int kSize>
ZY_INLINE void fit_affine(const Floats (&x)[kSize], const Floats (&w)[kSize],
                          const AffineSearch& search, AffineFit<kSize>* fit) {
  const float max_code = static_cast<float>(search.max_code);
  Floats low = x[0], high = x[0], sum_w = w[0], sum_x = w[0] * x[0];
  for (int i = 1; i < kSize; ++i) {
    low = x[i] < low ? x[i] : low;
    high = x[i] > high ? x[i] : high;
    sum_w += w[i];
    sum_x += w[i] * x[i];
  }
  low = low > 0.0f ? Floats{} : low;
  const Ints flat = high == low;

  Floats codes[kSize];
  const auto error_of = [&](const Floats& scale,
                            const Floats& origin) __attribute__((always_inline)) {
    Floats error{};
    for (int i = 0; i < kSize; ++i) {
      const Floats difference = scale * codes[i] + origin - x[i];
      error += w[i] * (search.absolute_error ? absolute(difference) : difference * difference);
    }
    return error;
  };

  Floats inverse = max_code / (high - low);
  Floats scale = 1.0f / inverse;
  Floats origin = low;
  Floats best_inverse = inverse, best_from = low;  // what the best codes were rounded with
  for (int i = 0; i < kSize; ++i) {
    codes[i] = round_to(inverse * (x[i] - low), 0, search.max_code);
  }
  Floats best_error = error_of(scale, origin);

  for (int step = 0; step <= search.steps; ++step) {
    const float reach = search.first + search.step * static_cast<float>(step) + max_code;
    inverse = reach / (high - origin);
    Floats sum_l{}, sum_l2{}, sum_xl{};
    for (int i = 0; i < kSize; ++i) {
      codes[i] = round_to(inverse * (x[i] - origin), 0, search.max_code);
      const Floats wl = w[i] * codes[i];
      sum_l += wl;
      sum_l2 += wl * codes[i];
      sum_xl += wl * x[i];
    }
    const Floats determinant = sum_w * sum_l2 - sum_l * sum_l;
    Floats new_scale = (sum_w * sum_xl - sum_x * sum_l) / determinant;
    Floats new_origin = (sum_l2 * sum_x - sum_l * sum_xl) / determinant;
    const Ints above = new_origin > 0.0f;
    new_scale = above ? sum_xl / sum_l2 : new_scale;
    new_origin = above ? Floats{} : new_origin;
    const Floats error = error_of(new_scale, new_origin);
    const Ints better = (determinant > 0.0f) & (error < best_error);
    best_inverse = better ? inverse : best_inverse;
    best_from = better ? origin : best_from;
    best_error = better ? error : best_error;
    scale = better ? new_scale : scale;
    origin = better ? new_origin : origin;
  }

  store_lanes(flat ? Floats{} : scale, fit->scale);
  store_lanes(-(flat ? low : origin), fit->min);
  for (int i = 0; i < kSize; ++i) {
    const Floats code = round_to(best_inverse * (x[i] - best_from), 0, search.max_code);
    codes[i] = flat ? Floats{} : code;
  }
  store_codes(codes, fit->codes);
}

// One block of non-negative numbers: x = scale * code, codes 0 .. max_code. Returns the scale.
// A fit can come out with a negative scale; its code then wraps around, here as in ggml.
ZY_INLINE float fit_positive(const float* x, const float* w, int n, int max_code, uint8_t* codes) {
  float largest = 0;
  for (int i = 0; i < n; ++i) largest = largest > x[i] ? largest : x[i];
  if (largest < kNoMagnitude) {
    std::memset(codes, 0, static_cast<size_t>(n));
    return 0;
  }
  const float top = static_cast<float>(max_code);
  const auto code_of = [&](float value) {
    const int code = nearest_int(value);
    return code < max_code ? code : max_code;
  };

  float inverse = top / largest, best_error = 0;
  for (int k = 0; k <= 8; ++k) {  // 0 first, then -4 .. 4 without 0
    const int offset = k == 0 ? 0 : k <= 4 ? k - 5 : k - 4;
    const float candidate = (0.1f * static_cast<float>(offset) + top) / largest;
    const float scale = 1 / candidate;
    float error = 0;
    for (int i = 0; i < n; ++i) {
      const int code = code_of(candidate * x[i]);
      const float difference = x[i] - scale * static_cast<float>(k == 0 ? code & 255 : code);
      error += w[i] * difference * difference;
    }
    if (k == 0 || error < best_error) {
      best_error = error;
      inverse = candidate;
    }
  }

  float sum_lx = 0, sum_l2 = 0;
  for (int i = 0; i < n; ++i) {
    const int integer = code_of(inverse * x[i]);
    const float code = static_cast<float>(integer);
    sum_lx += w[i] * x[i] * code;
    sum_l2 += w[i] * code * code;
    codes[i] = static_cast<uint8_t>(integer);
  }
  for (int sweep = 0; sweep < 5; ++sweep) {
    bool any_moved = false;
    for (int i = 0; i < n; ++i) {
      const float old = codes[i];
      const float rest_lx = sum_lx - w[i] * x[i] * old;
      const float rest_l2 = sum_l2 - w[i] * old * old;
      if (!(rest_lx > 0 && rest_l2 > 0)) continue;
      const int new_code = code_of(x[i] * rest_l2 / rest_lx);
      if (new_code == codes[i]) continue;
      const float code = static_cast<float>(new_code);
      const float new_lx = rest_lx + w[i] * x[i] * code;
      const float new_l2 = rest_l2 + w[i] * code * code;
      if (new_lx * new_lx * sum_l2 > sum_lx * sum_lx * new_l2) {
        codes[i] = static_cast<uint8_t>(new_code);
        sum_lx = new_lx;
        sum_l2 = new_l2;
        any_moved = true;
      }
    }
    if (!any_moved) break;
  }
  return sum_l2 > 0 ? sum_lx / sum_l2 : 0;
}

}  // namespace zhiyin
