#include "ops/ops.h"

#include <gtest/gtest.h>

#include <cmath>

#include "base/error.h"
#include "harness/check_op.h"
#include "kernels/kv_page.h"

namespace zhiyin {
namespace {

using testing::check_op;
using testing::random_tensor;
using testing::random_values;
using Inputs = std::vector<Tensor>;

TEST(Ops, AddScaleAndReshape) {
  for (const Shape& s : {Shape{1, 1}, Shape{3, 64}, Shape{2, 5, 129}}) {
    check_op("add", [](Context&, const Inputs& in) { return add(in[0], in[1]); }, {s, s});
    check_op("scale", [](Context&, const Inputs& in) { return scale(in[0], -1.5f); }, {s});
    check_op("reshape",
             [](Context&, const Inputs& in) { return reshape(in[0], {in[0].elements()}); }, {s});
  }
}

TEST(Ops, GatherRows) {
  const std::vector<int32_t> rows{2, 0, 2};
  check_op("gather_rows", [&](Context&, const Inputs& in) { return gather_rows(in[0], rows); },
           {Shape{4, 33}});
}

TEST(Ops, RmsNorm) {
  for (const Shape& s : {Shape{1, 1}, Shape{3, 64}, Shape{2, 5, 129}}) {
    check_op("rms_norm", [](Context&, const Inputs& in) { return rms_norm(in[0], in[1], 1e-3f); },
             {s, {s.dim(-1)}});
  }
}

TEST(Ops, RmsNormNamesBothShapes) {
  Context context({.threads = 1});
  try {
    rms_norm(random_tensor(context, {3, 4}, 1), random_tensor(context, {5}, 1), 0);
    FAIL() << "no error";
  } catch (const Error& e) {
    EXPECT_STREQ(e.what(), "rms_norm: weight [5] does not fit the input [3, 4]");
  }
}

TEST(Ops, Swiglu) {
  for (const Shape& s : {Shape{1, 1}, Shape{3, 64}, Shape{2, 5, 129}}) {
    check_op("swiglu", [](Context&, const Inputs& in) { return swiglu(in[0], in[1]); }, {s, s});
  }
}

TEST(Ops, Dropout) {
  check_op("dropout", [](Context&, const Inputs& in) { return dropout(in[0], 0.3f, 5); },
           {Shape{7, 33}});
  Context context({.threads = 2});
  const Tensor ones = Tensor::from(context, {1000, 100}, std::vector<float>(100000, 1.0f));
  double sum = 0, zeros = 0;
  for (const float v : dropout(ones, 0.25f, 9).to_vector()) {
    sum += static_cast<double>(v);
    zeros += v == 0;
  }
  EXPECT_NEAR(zeros / 1e5, 0.25, 0.01);
  EXPECT_NEAR(sum / 1e5, 1.0, 0.01);
}

TEST(Ops, Rope) {
  for (const bool adjacent : {false, true}) {
    for (const int64_t dim : {2, 16, 64, 80}) {
      check_op("rope",
               [&](Context& context, const Inputs& in) {
                 return rope(in[0], {random_tensor(context, {3, dim / 2}, 1),
                                     random_tensor(context, {3, dim / 2}, 2), adjacent});
               },
               {Shape{3, 2, dim}});
    }
  }
}

TEST(Ops, Hadamard) {
  for (const int64_t dim : {1, 2, 64, 80}) {
    check_op("hadamard", [](Context&, const Inputs& in) { return hadamard(in[0]); },
             {Shape{3, 2, dim}});
  }
  Context context({.threads = 1});
  // A single large element is spread; 12 is three blocks of 4.
  std::vector<float> one(12);
  one[5] = 2;
  const Tensor x = Tensor::from(context, {1, 12}, one);
  EXPECT_EQ(hadamard(x).to_vector(), (std::vector<float>{0, 0, 0, 0, 1, -1, 1, -1, 0, 0, 0, 0}));
  EXPECT_EQ(hadamard(hadamard(x)).to_vector(), one);
}

TEST(Ops, LinearWithTrainableMatrix) {
  for (const int64_t rows : {1, 2, 5, 70}) {
    check_op("linear", [](Context&, const Inputs& in) { return linear(in[0], in[1], in[2]); },
             {Shape{rows, 37}, Shape{65, 37}, Shape{65}}, {.gradient_tolerance = 3e-2f});
  }
}

// Products with every format: in exact mode against the decoded matrix, and the gradient of x.
TEST(Ops, LinearWithFrozenMatrix) {
  const int64_t out = 70, in_size = 256;
  const std::vector<float> values = random_values(out * in_size, 3);
  for (const FormatInfo& info : all_formats()) {
    for (const KernelTable* table : testing::kernel_tables()) {
      Context context({.threads = 2, .kernels = table, .precision = Precision::kExact});
      const Weight weight =
          Weight::packed_from(context, "w", info.format, out, in_size, values.data());
      std::vector<float> decoded(static_cast<size_t>(out * in_size));
      for (int64_t r = 0; r < out; ++r) {
        info.unpack(weight.row(r), decoded.data() + r * in_size, in_size);
      }
      const Tensor dense = Tensor::from(context, {out, in_size}, decoded);
      for (const int64_t rows : {1, 3, 40}) {
        Tape tape;
        const Tensor x = random_tensor(context, {rows, in_size}, 4).with_id(new_value_id());
        const Tensor y2 = linear(x, dense);
        tape.watch(x);
        const Tensor y = linear(x, weight);
        const std::vector<float> got = y.to_vector(), wanted = y2.to_vector();
        for (size_t i = 0; i < got.size(); ++i) {
          ASSERT_NEAR(got[i], wanted[i], 1e-3) << info.name << " on " << table->name;
        }
        const Tensor seed = random_tensor(context, y.shape(), 6);
        const std::vector<float> dx = tape.backward(y, seed).of(x).to_vector();
        for (int64_t t = 0; t < rows; t += 7) {
          for (int64_t k = 0; k < in_size; k += 31) {
            double sum = 0;
            for (int64_t n = 0; n < out; ++n) {
              sum += static_cast<double>(seed.row(t)[n]) *
                     static_cast<double>(decoded[static_cast<size_t>(n * in_size + k)]);
            }
            ASSERT_NEAR(static_cast<double>(dx[static_cast<size_t>(t * in_size + k)]), sum, 1e-3)
                << info.name << " on " << table->name;
          }
        }
      }
    }
  }
}

// The fast mode rounds activations to 8 bits in blocks of 32 (or both sides to bf16): the error of
// a product stays within that rounding.
TEST(Ops, FastLinearStaysWithinItsRounding) {
  const int64_t out = 70, in_size = 512;
  const std::vector<float> values = random_values(out * in_size, 3);
  for (const FormatInfo& info : all_formats()) {
    for (const KernelTable* table : testing::kernel_tables()) {
      Context exact({.threads = 1, .kernels = table, .precision = Precision::kExact});
      Context fast({.threads = 2, .kernels = table});
      const Weight weight =
          Weight::packed_from(fast, "w", info.format, out, in_size, values.data());
      weight.prepare(fast);
      for (const int64_t rows : {1, 2, 5, 40}) {
        const std::vector<float> wanted =
            linear(random_tensor(exact, {rows, in_size}, 4), weight).to_vector();
        const std::vector<float> got =
            linear(random_tensor(fast, {rows, in_size}, 4), weight).to_vector();
        double error = 0, power = 0;
        for (size_t i = 0; i < got.size(); ++i) {
          error += std::pow(static_cast<double>(got[i] - wanted[i]), 2);
          power += std::pow(static_cast<double>(wanted[i]), 2);
        }
        EXPECT_LT(std::sqrt(error / power), 0.012) << info.name << " on " << table->name;
      }
    }
  }
}

// What is verified together must be what was computed alone: few rows do not see each other.
TEST(Ops, FewRowsOfALinearAreTheSameInAnyCompany) {
  const int64_t out = 150, in_size = 512;
  const std::vector<float> values = random_values(out * in_size, 3);
  for (const FormatInfo& info : all_formats()) {
    for (const KernelTable* table : testing::kernel_tables()) {
      for (const Precision precision : {Precision::kFast, Precision::kExact}) {
        Context context({.threads = 2, .kernels = table, .precision = precision});
        const Weight weight =
            Weight::packed_from(context, "w", info.format, out, in_size, values.data());
        if (precision == Precision::kFast) weight.prepare(context);
        const Tensor x = random_tensor(context, {kFewRows, in_size}, 4);
        for (const int64_t rows : {int64_t{2}, int64_t{3}, int64_t{5}, kFewRows}) {
          const Tensor together = linear(x.slice(0, 0, rows), weight);
          for (int64_t r = 0; r < rows; ++r) {
            ASSERT_EQ(linear(x.slice(0, r, r + 1), weight).to_vector(),
                      together.slice(0, r, r + 1).to_vector())
                << info.name << " on " << table->name << ", row " << r << " of " << rows;
          }
        }
      }
    }
  }
}

// Before and after the number of keys from which on they are split among threads.
TEST(Ops, FewTokensAttendTheSameInAnyCompany) {
  const int64_t heads = 14, kv_heads = 2, dim = 64, keys = 1100;
  for (const KernelTable* table : testing::kernel_tables()) {
    Context context({.threads = 2, .kernels = table});
    const int64_t pages = (keys + kKvPageTokens - 1) / kKvPageTokens;
    const int64_t head_bytes = kv_page_bytes(KvType::kF32, dim);
    const Tensor cached = random_tensor(context, {pages, 2 * kv_heads * kKvPageTokens * dim}, 5);
    std::vector<const uint8_t*> starts;
    for (int64_t p = 0; p < pages; ++p) {
      starts.push_back(reinterpret_cast<const uint8_t*>(cached.row(p)));
    }
    const CachedSequence sequence{.pages = starts.data(),
                                  .key_offset = 0,
                                  .value_offset = kv_heads * head_bytes,
                                  .head_bytes = head_bytes};
    const Tensor q = random_tensor(context, {kFewRows, heads, dim}, 6);
    const auto attend = [&](int64_t first, int64_t count, int64_t past, int64_t window) {
      const Span span{0, count, past + first, 0};
      return attention_cached(q.slice(0, first, first + count), KvType::kF32, kv_heads, {&span, 1},
                              {&sequence, 1}, {.scale = 0, .window = window});
    };
    for (const int64_t past : {20, 500, 1016}) {
      for (const int64_t window : {0, 700}) {
        const Tensor together = attend(0, kFewRows, past, window);
        for (int64_t r = 0; r < kFewRows; ++r) {
          ASSERT_EQ(attend(r, 1, past, window).to_vector(), together.slice(0, r, r + 1).to_vector())
              << table->name << ", token " << r << " after " << past << ", window " << window;
        }
      }
    }
  }
}

// The feed-forward block in one go is what its parts give, but for rounding: also beyond the rows
// and columns of one block.
TEST(Ops, GatedMlpInOneGo) {
  const int64_t width = 288, inside = 416;
  const auto weight = [](Context& context, Format format, int64_t rows, int64_t cols, int seed) {
    const std::vector<float> values = random_values(rows * cols, static_cast<uint64_t>(seed));
    Weight w = Weight::packed_from(context, "w", format, rows, cols, values.data());
    w.prepare(context);
    return Matrix(w);
  };
  int fused = 0;
  for (const KernelTable* table : testing::kernel_tables()) {
    for (const Format format : {Format::kF16, Format::kQ8_0}) {
      Context context({.threads = 2, .kernels = table});
      const Matrix gate = weight(context, format, inside, width, 1);
      const Matrix up = weight(context, format, inside, width, 2);
      const Matrix down = weight(context, format, width, inside, 3);
      for (const int64_t rows : {17, 40, 600}) {
        const Tensor x = random_tensor(context, {rows, width}, 4);
        if (!fuses_gated_mlp(x, gate, up, down)) continue;
        ++fused;
        const std::vector<float> got = gated_mlp(x, gate, up, down).to_vector();
        const std::vector<float> wanted =
            linear(swiglu(linear(x, gate), linear(x, up)), down).to_vector();
        double error = 0, power = 0;
        for (size_t i = 0; i < got.size(); ++i) {
          error += std::pow(static_cast<double>(got[i] - wanted[i]), 2);
          power += std::pow(static_cast<double>(wanted[i]), 2);
        }
        EXPECT_LT(std::sqrt(error / power), 1e-5) << table->name << ", " << rows << " rows";
        Tape tape;
        EXPECT_FALSE(fuses_gated_mlp(x, gate, up, down));
      }
      const Tensor few = random_tensor(context, {kFewRows, width}, 4);
      EXPECT_EQ(fuses_gated_mlp(few, gate, up, down), format == Format::kQ8_0);
    }
  }
  EXPECT_GT(fused, 0);
}

// Of few rows it is that to the bit, whatever the number of threads.
TEST(Ops, GatedMlpOfFewRowsInOneGo) {
  const int64_t width = 256, inside = 416;
  for (const KernelTable* table : testing::kernel_tables()) {
    for (const int threads : {1, 2, 3}) {
      Context context({.threads = threads, .kernels = table});
      const auto weight = [&](int64_t rows, int64_t cols, uint64_t seed) {
        const std::vector<float> values = random_values(rows * cols, seed);
        Weight w = Weight::packed_from(context, "w", Format::kQ5_0, rows, cols, values.data());
        w.prepare(context);
        return Matrix(w);
      };
      const Matrix gate = weight(inside, width, 1), up = weight(inside, width, 2);
      const Matrix down = weight(width, inside, 3);
      for (const int64_t rows : {1, 2, 5, 16}) {
        const Tensor x = random_tensor(context, {rows, width}, 4);
        ASSERT_TRUE(fuses_gated_mlp(x, gate, up, down)) << table->name;
        EXPECT_EQ(gated_mlp(x, gate, up, down).to_vector(),
                  linear(swiglu(linear(x, gate), linear(x, up)), down).to_vector())
            << table->name << ", " << rows << " rows, " << threads << " threads";
      }
    }
  }
}

// Training takes the packed form of a weight where there is one: products and gradients are those
// of the file's rows, over more rows and columns than one block of the product holds.
TEST(Ops, FastGradientsOfAPackedWeight) {
  const int64_t out = 550, in_size = 768;
  const std::vector<float> values = random_values(out * in_size, 3);
  for (const FormatInfo& info : all_formats()) {
    for (const KernelTable* table : testing::kernel_tables()) {
      if (table->isa == Isa::kRef) continue;
      Context exact({.threads = 1, .kernels = table, .precision = Precision::kExact});
      Context fast({.threads = 2, .kernels = table});
      const Weight weight =
          Weight::packed_from(fast, "w", info.format, out, in_size, values.data());
      weight.prepare(fast);
      for (const int64_t rows : {5, 40, 150}) {
        const auto gradient = [&](Context& context, std::vector<float>& product) {
          Tape tape;
          const Tensor x = random_tensor(context, {rows, in_size}, 4).with_id(new_value_id());
          tape.watch(x);
          const Tensor y = linear(x, weight);
          product = y.to_vector();
          return tape.backward(y, random_tensor(context, y.shape(), 6)).of(x).to_vector();
        };
        std::vector<float> wanted_y, got_y;
        const std::vector<float> wanted = gradient(exact, wanted_y), got = gradient(fast, got_y);
        const auto distance = [](const std::vector<float>& a, const std::vector<float>& b) {
          double error = 0, power = 0;
          for (size_t i = 0; i < a.size(); ++i) {
            error += std::pow(static_cast<double>(a[i] - b[i]), 2);
            power += std::pow(static_cast<double>(b[i]), 2);
          }
          return std::sqrt(error / power);
        };
        EXPECT_LT(distance(got_y, wanted_y), 0.006) << info.name << " on " << table->name;
        EXPECT_LT(distance(got, wanted), 0.006) << info.name << " on " << table->name;
      }
    }
  }
}

TEST(Ops, LinearNamesTheMatrix) {
  Context context({.threads = 1});
  const std::vector<float> values(128 * 64);
  const Weight weight = Weight::packed_from(context, "model.layers.0.mlp.up_proj.weight",
                                            Format::kF32, 128, 64, values.data());
  try {
    linear(random_tensor(context, {3, 65}, 1), weight);
    FAIL() << "no error";
  } catch (const Error& e) {
    EXPECT_STREQ(e.what(),
                 "linear: input [3, 65] does not fit the matrix model.layers.0.mlp.up_proj.weight "
                 "[128, 64]");
  }
}

TEST(Ops, Embedding) {
  const std::vector<int32_t> ids{3, 1, 3};
  check_op("embedding",
           [&](Context& context, const Inputs& in) { return embedding(context, ids, in[0]); },
           {Shape{5, 33}});
}

TEST(Ops, Attention) {
  for (const int64_t window : {0, 7}) {
    for (const int64_t dim : {2, 16, 64}) {
      const std::vector<Span> spans{{0, 70, 0, 0}, {70, 5, 0, 1}};
      check_op("attention",
               [&](Context&, const Inputs& in) {
                 return attention(in[0], in[1], in[2], spans, {.scale = 0, .window = window});
               },
               {Shape{75, 4, dim}, Shape{75, 2, dim}, Shape{75, 2, dim}});
    }
  }
}

TEST(Ops, CrossEntropy) {
  const std::vector<int32_t> labels{4, kIgnoreLabel, 0, 66};
  check_op("cross_entropy",
           [&](Context&, const Inputs& in) { return cross_entropy(in[0], labels); },
           {Shape{4, 67}});
  check_op("linear_cross_entropy",
           [&](Context&, const Inputs& in) { return linear_cross_entropy(in[0], in[1], labels); },
           {Shape{4, 33}, Shape{67, 33}});
}

TEST(Ops, FusedLossEqualsThatOfLogits) {
  Context context({.threads = 2});
  std::vector<int32_t> labels;
  for (int32_t i = 0; i < 300; ++i) labels.push_back(i % 3 == 0 ? kIgnoreLabel : i % 67);
  const Tensor x = random_tensor(context, {300, 33}, 1), head = random_tensor(context, {67, 33}, 2);
  EXPECT_NEAR(linear_cross_entropy(x, head, labels).item(),
              cross_entropy(linear(x, head), labels).item(), 1e-2);
}

// What a row of a product is rounded to may not depend on how rows are shared out, or a run of
// training would end with other bytes on another number of threads.
TEST(Ops, ProductsDoNotDependOnTheNumberOfThreads) {
  constexpr int64_t kOut = 192, kIn = 576, kRows = 103;
  const auto values_on = [&](int threads, Format format, bool prepared) {
    Context context({.threads = threads});
    const std::vector<float> weights = random_values(kOut * kIn, 3);
    const Matrix m = Weight::packed_from(context, "w", format, kOut, kIn, weights.data());
    if (prepared) m.weight().prepare(context);
    const Tensor x = Tensor::parameter(context, {kRows, kIn}, random_values(kRows * kIn, 4));
    Tape tape;
    tape.watch(x);
    const Tensor y = linear(x, m);
    std::vector<float> all = y.to_vector();
    const std::vector<float> dx = tape.backward(y, y.with_id(0)).of(x).to_vector();
    all.insert(all.end(), dx.begin(), dx.end());
    return all;
  };
  for (const Format format : {Format::kQ4_0, Format::kQ8_0, Format::kF32, Format::kBF16}) {
    for (const bool prepared : {false, true}) {
      const std::vector<float> one = values_on(1, format, prepared);
      for (const int threads : {2, 3, 8}) {
        EXPECT_TRUE(values_on(threads, format, prepared) == one)
            << format_info(format).name << " on " << threads << " threads";
      }
    }
  }
}

}  // namespace
}  // namespace zhiyin
