#include "ops/cholesky.h"

#include <gtest/gtest.h>

#include "harness/check_op.h"

namespace zhiyin {
namespace {

// Sizes on both sides of a band of rows.
class CholeskyUpper : public ::testing::TestWithParam<int64_t> {};

TEST_P(CholeskyUpper, SquaredGivesTheMatrix) {
  const int64_t n = GetParam();
  Context context({.threads = 2});
  // x^T x of more rows than columns, which is positive definite.
  const std::vector<float> x = testing::random_values((n + 8) * n, 5);
  Tensor a = Tensor::zeros(context, {n, n});
  for (int64_t t = 0; t < n + 8; ++t) {
    for (int64_t i = 0; i < n; ++i) {
      for (int64_t k = 0; k < n; ++k) {
        a.row(i)[k] += x[static_cast<size_t>(t * n + i)] * x[static_cast<size_t>(t * n + k)];
      }
    }
  }
  const Tensor u = cholesky_upper(context, a);
  for (int64_t i = 0; i < n; ++i) {
    for (int64_t k = 0; k < i; ++k) ASSERT_EQ(u.row(i)[k], 0.0f);
    for (int64_t k = i; k < n; ++k) {
      double sum = 0;
      for (int64_t j = 0; j <= i; ++j) {
        sum += static_cast<double>(u.row(j)[i]) * static_cast<double>(u.row(j)[k]);
      }
      ASSERT_NEAR(sum, static_cast<double>(a.row(i)[k]), 1e-3 * static_cast<double>(n))
          << i << ", " << k;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Sizes, CholeskyUpper, ::testing::Values(1, 5, 128, 131, 300));

TEST(CholeskyUpper, OfASingularMatrixIsFinite) {
  Context context({.threads = 1});
  const Tensor u =
      cholesky_upper(context, Tensor::from(context, {2, 2}, std::vector<float>{4, 2, 2, 1}));
  EXPECT_FLOAT_EQ(u.row(0)[0], 2);
  EXPECT_FLOAT_EQ(u.row(0)[1], 1);
  EXPECT_FLOAT_EQ(u.row(1)[1], 1e-3f);
}

}  // namespace
}  // namespace zhiyin
