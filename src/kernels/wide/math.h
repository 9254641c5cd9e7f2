// Kernels written once for vectors of any width: templates over the Lanes of avx2/lanes.h and
// avx512/lanes.h, which are this folder's only view of an instruction set. wide/table.h enters them
// into a table. Everything has internal linkage, see the note in kernels.h.
//
// L::Vec holds L::kCount floats. Loads and stores take L::All{} for a whole vector or L::Some(n)
// for its first n lanes; lanes left out are read as 0 and not written.
#pragma once

#include <cstdint>

namespace zhiyin::wide {
namespace {

// Calls body(i, part) for each vector of n elements.
template <typename L, typename Body>
[[gnu::always_inline]] inline void for_lanes(int64_t n, Body body) {
  int64_t i = 0;
  for (; i + L::kCount <= n; i += L::kCount) body(i, typename L::All{});
  if (i < n) body(i, typename L::Some(n - i));
}

// e^x, relative error below 1.5e-7: x = n ln 2 + r with |r| <= ln 2 / 2, a polynomial in r, and
// 2^n into the exponent. 0 below -104 (so for -inf), +inf above 88.72, NaN stays NaN.
template <typename L>
[[gnu::always_inline]] inline typename L::Vec exp(typename L::Vec x) {
  // The second operand is what min and max return for a NaN.
  x = L::min(L::set(89.0f), L::max(L::set(-104.0f), x));
  const typename L::Vec n = L::round(L::mul(x, L::set(1.44269504f)));
  // ln 2 in two parts, so that n * high is exact.
  typename L::Vec r = L::fnmadd(n, L::set(0.693359375f), x);
  r = L::fnmadd(n, L::set(-2.12194440e-4f), r);
  typename L::Vec p = L::set(1.9875691e-4f);  // coefficients of Cephes expf
  p = L::fmadd(p, r, L::set(1.3981999e-3f));
  p = L::fmadd(p, r, L::set(8.3334519e-3f));
  p = L::fmadd(p, r, L::set(4.1665796e-2f));
  p = L::fmadd(p, r, L::set(1.6666665e-1f));
  p = L::fmadd(p, r, L::set(0.5f));
  p = L::fmadd(p, L::mul(r, r), r);
  return L::times_power_of_two(L::add(p, L::set(1.0f)), n);
}

// 1 / (1 + e^-x)
template <typename L>
[[gnu::always_inline]] inline typename L::Vec sigmoid(typename L::Vec x) {
  return L::div(L::set(1.0f), L::add(L::set(1.0f), exp<L>(L::sub(L::set(0.0f), x))));
}

}  // namespace
}  // namespace zhiyin::wide
