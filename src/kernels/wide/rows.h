// Kernels on rows and single elements.
#pragma once

#include "kernels/kernels.h"
#include "kernels/wide/math.h"

namespace zhiyin::wide {
namespace {

// Four sums hide the latency of the multiply-add.
template <typename L>
float dot(const float* a, const float* b, int64_t n) {
  constexpr int kSums = 4;
  typename L::Vec sum[kSums] = {L::set(0), L::set(0), L::set(0), L::set(0)};
  int64_t i = 0;
  for (; i + kSums * L::kCount <= n; i += kSums * L::kCount) {
#pragma GCC unroll 4
    for (int s = 0; s < kSums; ++s) {
      const int64_t j = i + s * L::kCount;
      sum[s] = L::fmadd(L::load(a + j, {}), L::load(b + j, {}), sum[s]);
    }
  }
  for_lanes<L>(n - i, [&](int64_t j, auto part) {
    sum[0] = L::fmadd(L::load(a + i + j, part), L::load(b + i + j, part), sum[0]);
  });
  return L::sum_of(L::add(L::add(sum[0], sum[1]), L::add(sum[2], sum[3])));
}

template <typename L>
void axpy(float alpha, const float* x, float* y, int64_t n) {
  for_lanes<L>(n, [&](int64_t i, auto part) {
    L::store(y + i, part, L::fmadd(L::set(alpha), L::load(x + i, part), L::load(y + i, part)));
  });
}

template <typename L>
void scale(float alpha, const float* x, float* y, int64_t n) {
  for_lanes<L>(n, [&](int64_t i, auto part) {
    L::store(y + i, part, L::mul(L::set(alpha), L::load(x + i, part)));
  });
}

template <typename L>
void add(const float* a, const float* b, float* y, int64_t n) {
  for_lanes<L>(n, [&](int64_t i, auto part) {
    L::store(y + i, part, L::add(L::load(a + i, part), L::load(b + i, part)));
  });
}

template <typename L>
void mul(const float* a, const float* b, float* y, int64_t n) {
  for_lanes<L>(n, [&](int64_t i, auto part) {
    L::store(y + i, part, L::mul(L::load(a + i, part), L::load(b + i, part)));
  });
}

template <typename L>
float max(const float* x, int64_t n) {
  typename L::Vec largest = L::set(x[0]);
  for_lanes<L>(n, [&](int64_t i, auto part) {
    largest = L::keep(part, L::max(largest, L::load(x + i, part)), largest);
  });
  return L::max_of(largest);
}

template <typename L>
float exp_sum(const float* x, float shift, float* y, int64_t n) {
  typename L::Vec sum = L::set(0);
  for_lanes<L>(n, [&](int64_t i, auto part) {
    const typename L::Vec value = exp<L>(L::sub(L::load(x + i, part), L::set(shift)));
    L::store(y + i, part, value);
    sum = L::keep(part, L::add(sum, value), sum);
  });
  return L::sum_of(sum);
}

template <typename L>
void softmax(const float* x, float factor, float* y, int64_t n) {
  scale<L>(factor, x, y, n);
  const float sum = exp_sum<L>(y, max<L>(y, n), y, n);
  scale<L>(1.0f / sum, y, y, n);
}

template <typename L>
float rms_norm(const float* x, const float* w, float epsilon, float* y, int64_t n) {
  const float mean = dot<L>(x, x, n) / static_cast<float>(n);
  const float factor = 1.0f / __builtin_sqrtf(mean + epsilon);
  for_lanes<L>(n, [&](int64_t i, auto part) {
    const typename L::Vec normed = L::mul(L::load(x + i, part), L::set(factor));
    L::store(y + i, part, L::mul(normed, L::load(w + i, part)));
  });
  return factor;
}

template <typename L>
void silu(const float* x, float* y, int64_t n) {
  for_lanes<L>(n, [&](int64_t i, auto part) {
    const typename L::Vec value = L::load(x + i, part);
    L::store(y + i, part, L::mul(value, sigmoid<L>(value)));
  });
}

template <typename L>
void swiglu(const float* gate, const float* up, float* y, int64_t n) {
  for_lanes<L>(n, [&](int64_t i, auto part) {
    const typename L::Vec g = L::load(gate + i, part);
    L::store(y + i, part, L::mul(L::mul(g, sigmoid<L>(g)), L::load(up + i, part)));
  });
}

template <typename L>
void swiglu_backward(const float* gate, const float* up, const float* dy, float* d_gate,
                     float* d_up, int64_t n) {
  for_lanes<L>(n, [&](int64_t i, auto part) {
    const typename L::Vec g = L::load(gate + i, part);
    const typename L::Vec u = L::load(up + i, part);
    const typename L::Vec d = L::load(dy + i, part);
    const typename L::Vec s = sigmoid<L>(g);
    const typename L::Vec silu_g = L::mul(g, s);
    const typename L::Vec d_silu = L::fmadd(silu_g, L::sub(L::set(1.0f), s), s);
    L::store(d_up + i, part, L::mul(d, silu_g));
    L::store(d_gate + i, part, L::mul(L::mul(d, u), d_silu));
  });
}

// Pairs (i, i + half).
template <typename L>
void rotate_halves(float* x, const float* cos, const float* sin, int64_t half) {
  for_lanes<L>(half, [&](int64_t i, auto part) {
    const typename L::Vec a = L::load(x + i, part);
    const typename L::Vec b = L::load(x + half + i, part);
    const typename L::Vec c = L::load(cos + i, part);
    const typename L::Vec s = L::load(sin + i, part);
    L::store(x + i, part, L::fmsub(a, c, L::mul(b, s)));
    L::store(x + half + i, part, L::fmadd(a, s, L::mul(b, c)));
  });
}

// Pairs (2 i, 2 i + 1): even lanes subtract, odd lanes add.
template <typename L>
void rotate_pairs(float* x, const float* cos, const float* sin, int64_t half) {
  for_lanes<L>(2 * half, [&](int64_t i, auto part) {
    const typename L::Vec c = L::load_doubled(cos + i / 2, part);
    const typename L::Vec s = L::load_doubled(sin + i / 2, part);
    const typename L::Vec pairs = L::load(x + i, part);
    L::store(x + i, part, L::fmaddsub(pairs, c, L::mul(L::swap_pairs(pairs), s)));
  });
}

template <typename L>
void rope(const RopeArgs& args) {
  const auto rotate = args.adjacent ? rotate_pairs<L> : rotate_halves<L>;
  for (int64_t h = 0; h < args.heads; ++h) {
    rotate(args.x + h * args.head_dim, args.cos, args.sin, args.rotary_dim / 2);
  }
}

template <typename L>
void adamw(const AdamWArgs& args) {
  using Vec = typename L::Vec;
  const Vec decay = L::set(1.0f - args.rate * args.weight_decay);
  const Vec step = L::set(args.rate / args.bias1);
  const Vec root_bias2 = L::set(__builtin_sqrtf(args.bias2));
  const Vec new_m = L::set(1.0f - args.beta1);
  const Vec new_v = L::set(1.0f - args.beta2);
  for_lanes<L>(args.n, [&](int64_t i, auto part) {
    const Vec g = L::mul(L::load(args.gradient + i, part), L::set(args.gradient_scale));
    const Vec old_m = L::load(args.m + i, part);
    const Vec m = L::fmadd(new_m, L::sub(g, old_m), old_m);
    const Vec kept_v = L::mul(L::set(args.beta2), L::load(args.v + i, part));
    const Vec v = L::fmadd(L::mul(new_v, g), g, kept_v);
    const Vec divisor = L::add(L::div(L::sqrt(v), root_bias2), L::set(args.epsilon));
    const Vec change = L::div(L::mul(step, m), divisor);
    L::store(args.m + i, part, m);
    L::store(args.v + i, part, v);
    L::store(args.parameter + i, part, L::fmsub(L::load(args.parameter + i, part), decay, change));
  });
}

template <typename L>
void f32_to_f16(const float* x, uint16_t* y, int64_t n) {
  for_lanes<L>(n, [&](int64_t i, auto part) { L::store_f16(y + i, part, L::load(x + i, part)); });
}

template <typename L>
void f16_to_f32(const uint16_t* x, float* y, int64_t n) {
  for_lanes<L>(n, [&](int64_t i, auto part) { L::store(y + i, part, L::load_f16(x + i, part)); });
}

template <typename L>
void f32_to_bf16(const float* x, uint16_t* y, int64_t n) {
  for_lanes<L>(n, [&](int64_t i, auto part) { L::store_bf16(y + i, part, L::load(x + i, part)); });
}

template <typename L>
void bf16_to_f32(const uint16_t* x, float* y, int64_t n) {
  for_lanes<L>(n, [&](int64_t i, auto part) { L::store(y + i, part, L::load_bf16(x + i, part)); });
}

}  // namespace
}  // namespace zhiyin::wide
