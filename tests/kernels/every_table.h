// What the tests of kernels share: every instruction set this CPU runs, and guarded random arrays.
#pragma once

#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/random.h"
#include "kernels/kernels.h"

namespace zhiyin::testing {

// Lengths around one, two and several vectors of every instruction set.
inline constexpr int64_t kOddLengths[] = {1, 2, 7, 8, 9, 15, 16, 17, 31, 33, 63, 64, 65, 129, 200};

class EveryTable : public ::testing::TestWithParam<const KernelTable*> {
 protected:
  const KernelTable& table() const { return *GetParam(); }
};

inline std::vector<const KernelTable*> every_table() {
  std::vector<const KernelTable*> tables;
  for (const Isa isa : {Isa::kRef, Isa::kAvx2, Isa::kAvx512, Isa::kAmx}) {
    if (const KernelTable* table = kernel_table(isa)) tables.push_back(table);
  }
  return tables;
}

inline std::string table_name(const ::testing::TestParamInfo<const KernelTable*>& info) {
  constexpr const char* kNames[] = {"ref", "avx2", "avx512", "amx"};
  return kNames[static_cast<int>(info.param->isa)];
}

// An array that starts at no multiple of a vector's size and ends in sentinels.
template <typename T>
class Guarded {
 public:
  explicit Guarded(int64_t n) : n_(n), all_(static_cast<size_t>(n) + kBefore + kAfter, kSentinel) {}
  T* data() { return all_.data() + kBefore; }
  const T* data() const { return all_.data() + kBefore; }
  T& operator[](int64_t i) { return data()[i]; }
  const T& operator[](int64_t i) const { return data()[i]; }
  int64_t size() const { return n_; }
  // Whether a kernel wrote outside.
  bool intact() const {
    for (size_t i = 0; i < all_.size(); ++i) {
      const bool inside = i >= kBefore && i < kBefore + static_cast<size_t>(n_);
      if (!inside && all_[i] != kSentinel) return false;
    }
    return true;
  }

 private:
  static constexpr size_t kBefore = 3;
  static constexpr size_t kAfter = 16;
  static constexpr T kSentinel = static_cast<T>(77);
  int64_t n_;
  std::vector<T> all_;
};

// Normally distributed.
inline Guarded<float> random_floats(int64_t n, uint64_t seed, double deviation = 1.0) {
  Random random(seed);
  Guarded<float> values(n);
  for (int64_t i = 0; i < n; ++i) values[i] = static_cast<float>(random.normal() * deviation);
  return values;
}

// |a - b| <= absolute + relative * |b|
inline ::testing::AssertionResult close(double a, double b, double relative, double absolute) {
  if (a == b || (std::isnan(a) && std::isnan(b))) return ::testing::AssertionSuccess();
  if (std::fabs(a - b) <= absolute + relative * std::fabs(b)) return ::testing::AssertionSuccess();
  return ::testing::AssertionFailure() << a << " is not " << b;
}

}  // namespace zhiyin::testing

#define ZHIYIN_EVERY_TABLE(suite)                                                             \
  INSTANTIATE_TEST_SUITE_P(Isa, suite, ::testing::ValuesIn(::zhiyin::testing::every_table()), \
                           ::zhiyin::testing::table_name)
