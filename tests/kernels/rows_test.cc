// Kernels on rows and single elements.
#include <algorithm>
#include <cfloat>
#include <limits>

#include "kernels/every_table.h"

namespace zhiyin::testing {
namespace {

using RowsTest = EveryTable;
constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

// Runs kernel(out) on a fresh array and in place of `input`, and compares with expected(i).
template <typename Kernel, typename Expected>
void check_elements(const Guarded<float>& input, Kernel kernel, Expected expected,
                    double relative = 1e-6, double absolute = 1e-7) {
  for (const bool in_place : {false, true}) {
    Guarded<float> source = input;
    Guarded<float> other(input.size());
    Guarded<float>& out = in_place ? source : other;
    kernel(source.data(), out.data(), input.size());
    ASSERT_TRUE(out.intact());
    for (int64_t i = 0; i < input.size(); ++i) {
      ASSERT_TRUE(close(out[i], expected(i), relative, absolute))
          << "element " << i << " of " << input.size() << (in_place ? ", in place" : "");
    }
  }
}

double sigmoid(double x) { return 1 / (1 + std::exp(-x)); }

TEST_P(RowsTest, Arithmetic) {
  for (const int64_t n : kOddLengths) {
    const auto a = random_floats(n, 1), b = random_floats(n, 2);
    const KernelTable& k = table();
    check_elements(
        a, [&](float* x, float* y, int64_t m) { k.scale(1.7f, x, y, m); },
        [&](int64_t i) { return double{1.7f} * double{a[i]}; });
    check_elements(
        a, [&](float* x, float* y, int64_t m) { k.add(x, b.data(), y, m); },
        [&](int64_t i) { return double{a[i]} + double{b[i]}; });
    check_elements(
        a, [&](float* x, float* y, int64_t m) { k.mul(x, b.data(), y, m); },
        [&](int64_t i) { return double{a[i]} * double{b[i]}; });
    Guarded<float> y = b;
    k.axpy(0.3f, a.data(), y.data(), n);
    ASSERT_TRUE(y.intact());
    double dot = 0;
    for (int64_t i = 0; i < n; ++i) {
      ASSERT_TRUE(close(y[i], double{b[i]} + double{0.3f} * double{a[i]}, 1e-6, 1e-6));
      dot += double{a[i]} * double{b[i]};
    }
    ASSERT_TRUE(close(k.dot(a.data(), b.data(), n), dot, 1e-6, 1e-5));
    ASSERT_EQ(k.max(a.data(), n), *std::max_element(a.data(), a.data() + n));
  }
}

TEST_P(RowsTest, MaximumOfNegativesAndInfinities) {
  for (const int64_t n : kOddLengths) {
    std::vector<float> x(static_cast<size_t>(n), -kInfinity);
    EXPECT_EQ(table().max(x.data(), n), -kInfinity);
    x.back() = -5;
    EXPECT_EQ(table().max(x.data(), n), -5);
  }
}

TEST_P(RowsTest, RmsNorm) {
  for (const int64_t n : kOddLengths) {
    const auto x = random_floats(n, 3), w = random_floats(n, 4);
    double squares = 0;
    for (int64_t i = 0; i < n; ++i) squares += double{x[i]} * double{x[i]};
    const double factor = 1 / std::sqrt(squares / static_cast<double>(n) + 1e-6);
    float returned = 0;
    check_elements(
        x,
        [&](float* in, float* out, int64_t m) {
          returned = table().rms_norm(in, w.data(), 1e-6f, out, m);
        },
        [&](int64_t i) { return double{x[i]} * factor * double{w[i]}; });
    ASSERT_TRUE(close(returned, factor, 1e-6, 0));
  }
}

TEST_P(RowsTest, RopeRotatesBothLayouts) {
  for (const bool adjacent : {false, true}) {
    for (const int64_t rotary : {2, 10, 16, 30, 32, 34, 64, 80, 128}) {
      const int64_t heads = 3, head_dim = rotary + 6, half = rotary / 2;
      const auto before = random_floats(heads * head_dim, 5);
      Guarded<float> x = before;
      Guarded<float> cosines(half), sines(half);
      for (int64_t i = 0; i < half; ++i) {
        cosines[i] = std::cos(0.3f * static_cast<float>(i) + 1);
        sines[i] = std::sin(0.3f * static_cast<float>(i) + 1);
      }
      table().rope({x.data(), heads, head_dim, rotary, cosines.data(), sines.data(), adjacent});
      ASSERT_TRUE(x.intact());
      for (int64_t h = 0; h < heads; ++h) {
        for (int64_t i = 0; i < head_dim; ++i) {
          const int64_t pair = adjacent ? i / 2 : i % half;
          const bool second = adjacent ? i % 2 == 1 : i >= half;
          const int64_t partner = adjacent ? i ^ 1 : (second ? i - half : i + half);
          double expected = before[h * head_dim + i];
          if (i < rotary) {
            const double other = before[h * head_dim + partner];
            const double c = cosines[pair], s = sines[pair];
            expected = second ? other * s + expected * c : expected * c - other * s;
          }
          ASSERT_TRUE(close(x[h * head_dim + i], expected, 1e-6, 1e-6))
              << "adjacent " << adjacent << ", rotary " << rotary << ", element " << i;
        }
      }
    }
  }
}

TEST_P(RowsTest, Activations) {
  for (const int64_t n : kOddLengths) {
    const auto gate = random_floats(n, 6, 4.0), up = random_floats(n, 7);
    check_elements(
        gate, [&](float* x, float* y, int64_t m) { table().silu(x, y, m); },
        [&](int64_t i) { return double{gate[i]} * sigmoid(gate[i]); });
    check_elements(
        gate, [&](float* x, float* y, int64_t m) { table().swiglu(x, up.data(), y, m); },
        [&](int64_t i) { return double{gate[i]} * sigmoid(gate[i]) * double{up[i]}; });

    const auto dy = random_floats(n, 8);
    Guarded<float> d_gate(n), d_up(n);
    table().swiglu_backward(gate.data(), up.data(), dy.data(), d_gate.data(), d_up.data(), n);
    ASSERT_TRUE(d_gate.intact() && d_up.intact());
    for (int64_t i = 0; i < n; ++i) {
      const double g = gate[i], s = sigmoid(g);
      ASSERT_TRUE(close(d_up[i], double{dy[i]} * g * s, 1e-6, 1e-7));
      ASSERT_TRUE(
          close(d_gate[i], double{dy[i]} * double{up[i]} * s * (1 + g * (1 - s)), 2e-6, 1e-6));
    }
  }
}

TEST_P(RowsTest, ActivationsAtTheEdges) {
  const float x[] = {-1e30f, -200, -88, 0, 88, 200, 1e30f};
  float y[std::size(x)];
  table().silu(x, y, std::size(x));
  for (size_t i = 0; i < std::size(x); ++i) {
    EXPECT_TRUE(close(y[i], x[i] > 0 ? x[i] : 0, 1e-6, 1e-30)) << x[i];
  }
}

// Every 500th float of the range where e^x is a normal number.
TEST_P(RowsTest, ExpIsAccurate) {
  std::vector<float> x;
  for (uint32_t step = 0; step < 1u << 18; ++step) {
    x.push_back(-87.3f + static_cast<float>(step) * (175.9f / (1 << 18)));
  }
  for (float tiny = 1e-30f; tiny < 1; tiny *= 3) x.insert(x.end(), {tiny, -tiny});
  std::vector<float> y(x.size());
  table().exp_sum(x.data(), 0, y.data(), static_cast<int64_t>(x.size()));
  double worst = 0;
  for (size_t i = 0; i < x.size(); ++i) {
    const double expected = std::exp(double{x[i]});
    worst = std::max(worst, std::fabs(double{y[i]} / expected - 1));
  }
  EXPECT_LT(worst, 2e-7);
}

TEST_P(RowsTest, ExpAtTheEdges) {
  const float x[] = {-kInfinity, -1e30f, -1000, -104.5f, -95, 0, 88.7f, 89, 1e30f, kInfinity, kNan};
  float y[std::size(x)];
  table().exp_sum(x, 0, y, std::size(x));
  for (int i = 0; i < 4; ++i) EXPECT_EQ(y[i], 0.0f) << x[i];
  EXPECT_TRUE(close(y[4], std::exp(-95.0), 0, 1.5e-45));  // subnormal
  EXPECT_EQ(y[5], 1.0f);
  EXPECT_TRUE(close(y[6], std::exp(double{88.7f}), 2e-7, 0));
  for (int i = 7; i < 10; ++i) EXPECT_EQ(y[i], kInfinity) << x[i];
  EXPECT_TRUE(std::isnan(y[10]));
}

TEST_P(RowsTest, Softmax) {
  for (const int64_t n : kOddLengths) {
    auto x = random_floats(n, 9, 3.0);
    if (n > 2) x[1] = -kInfinity;
    double sum = 0, largest = -1e300;
    for (int64_t i = 0; i < n; ++i) largest = std::max(largest, double{x[i]});
    for (int64_t i = 0; i < n; ++i) sum += std::exp(0.5 * (double{x[i]} - largest));
    check_elements(
        x, [&](float* in, float* out, int64_t m) { table().softmax(in, 0.5f, out, m); },
        [&](int64_t i) { return std::exp(0.5 * (double{x[i]} - largest)) / sum; });

    Guarded<float> y(n);
    const float shift = static_cast<float>(largest);
    const float returned = table().exp_sum(x.data(), shift, y.data(), n);
    ASSERT_TRUE(y.intact());
    double exact = 0;
    for (int64_t i = 0; i < n; ++i) exact += std::exp(double{x[i]} - largest);
    ASSERT_TRUE(close(returned, exact, 1e-6, 0));
  }
}

TEST_P(RowsTest, AdamW) {
  for (const int64_t n : kOddLengths) {
    const auto parameter = random_floats(n, 10), gradient = random_floats(n, 11);
    const auto m = random_floats(n, 12, 0.1);
    Guarded<float> v = random_floats(n, 13, 0.1);
    for (int64_t i = 0; i < n; ++i) v[i] = std::fabs(v[i]);
    Guarded<float> new_parameter = parameter, new_m = m, new_v = v;
    const double rate = 1e-2, beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8, decay = 0.1, clip = 0.5;
    const double bias1 = 1 - std::pow(beta1, 3), bias2 = 1 - std::pow(beta2, 3);
    table().adamw({new_parameter.data(), gradient.data(), new_m.data(), new_v.data(), n,
                   static_cast<float>(rate), static_cast<float>(beta1), static_cast<float>(beta2),
                   static_cast<float>(epsilon), static_cast<float>(decay),
                   static_cast<float>(bias1), static_cast<float>(bias2), static_cast<float>(clip)});
    ASSERT_TRUE(new_parameter.intact() && new_m.intact() && new_v.intact());
    for (int64_t i = 0; i < n; ++i) {
      const double g = double{gradient[i]} * clip;
      const double em = beta1 * double{m[i]} + (1 - beta1) * g;
      const double ev = beta2 * double{v[i]} + (1 - beta2) * g * g;
      const double change = rate * em / bias1 / (std::sqrt(ev / bias2) + epsilon);
      ASSERT_TRUE(close(new_m[i], em, 1e-5, 1e-7));
      ASSERT_TRUE(close(new_v[i], ev, 1e-5, 1e-9));
      ASSERT_TRUE(
          close(new_parameter[i], double{parameter[i]} * (1 - rate * decay) - change, 1e-6, 1e-6));
    }
  }
}

ZHIYIN_EVERY_TABLE(RowsTest);

}  // namespace
}  // namespace zhiyin::testing
