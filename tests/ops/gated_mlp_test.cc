#include <gtest/gtest.h>

#include <cmath>

#include "harness/check_op.h"
#include "ops/ops.h"

namespace zhiyin {
namespace {

using testing::random_tensor;
using testing::random_values;

constexpr int64_t kWidth = 288, kInside = 416;

Matrix weight(Context& context, Format format, int64_t rows, int64_t cols, uint64_t seed) {
  std::vector<float> values = random_values(rows * cols, seed);
  for (float& value : values) value *= 0.1f;
  Weight w = Weight::packed_from(context, "w", format, rows, cols, values.data());
  w.prepare(context);
  return Matrix(w);
}

struct Mlp {
  Matrix gate, up, down;
  GatedMlpOperands operands;
  std::vector<Tensor> watched;  // x first, then a and b of all terms

  Mlp(Context& context, Format format, int64_t rows)
      : gate(weight(context, format, kInside, kWidth, 1)),
        up(weight(context, format, kInside, kWidth, 2)),
        down(weight(context, format, kWidth, kInside, 3)),
        operands{&gate, &up, &down, {}, {}, {}} {
    watched.push_back(random_tensor(context, {rows, kWidth}, 4).with_id(new_value_id()));
    // Two adapters on gate, none on up.
    add_term(operands.gate_terms, kInside, kWidth, 3, 2.0f);
    add_term(operands.gate_terms, kInside, kWidth, 40, 0.5f);
    add_term(operands.down_terms, kWidth, kInside, 8, 1.5f);
  }

  const Tensor& x() const { return watched[0]; }

  // The same from linear layers and swiglu.
  Tensor of_parts() const {
    const auto with_input = [](std::vector<LowRank> terms, const Tensor& input) {
      for (LowRank& term : terms) term.input = input;
      return terms;
    };
    const Tensor no_bias;
    const LinearOperand both[] = {{&gate, &no_bias, with_input(operands.gate_terms, x())},
                                  {&up, &no_bias, with_input(operands.up_terms, x())}};
    const std::vector<Tensor> out = linear_many(x(), both);
    const Tensor inside = swiglu(out[0], out[1]);
    const LinearOperand last{&down, &no_bias, with_input(operands.down_terms, inside)};
    return linear_many(inside, {&last, 1})[0];
  }

 private:
  void add_term(std::vector<LowRank>& terms, int64_t out, int64_t in, int64_t rank, float scale) {
    Context& context = x().context();
    const auto seed = static_cast<uint64_t>(watched.size()) + 10;
    const Tensor a = random_tensor(context, {rank, in}, seed).with_id(new_value_id());
    const Tensor b = random_tensor(context, {out, rank}, seed + 20).with_id(new_value_id());
    terms.push_back({Tensor(), a, b, scale * 0.1f});
    watched.insert(watched.end(), {a, b});
  }
};

double distance(const Tensor& a, const Tensor& b) {
  const std::vector<float> got = a.to_vector(), wanted = b.to_vector();
  double error = 0, power = 0;
  for (size_t i = 0; i < got.size(); ++i) {
    error += std::pow(static_cast<double>(got[i] - wanted[i]), 2);
    power += std::pow(static_cast<double>(wanted[i]), 2);
  }
  return std::sqrt(error / power);
}

// Value and gradients are those of its parts, but for what is rounded to bf16: also beyond the rows
// and columns of one block.
TEST(GatedMlp, WithAdaptersIsWhatItsPartsAre) {
  for (const KernelTable* table : testing::kernel_tables()) {
    for (const Format format : {Format::kF16, Format::kQ8_0}) {
      Context context({.threads = 2, .kernels = table});
      for (const int64_t rows : {5, 40, table->isa == Isa::kRef ? 70 : 600}) {
        const Mlp mlp(context, format, rows);
        const auto run = [&](bool fused, Gradients& gradients) {
          Tape tape;
          for (const Tensor& value : mlp.watched) tape.watch(value);
          EXPECT_TRUE(fuses_adapted_mlp(mlp.x(), mlp.operands));
          const Tensor y = fused ? adapted_mlp(mlp.x(), mlp.operands) : mlp.of_parts();
          gradients = tape.backward(y, random_tensor(context, y.shape(), 6));
          return y;
        };
        Gradients wanted, got;
        const Tensor y = run(false, wanted);
        EXPECT_LT(distance(run(true, got), y), 1e-3) << table->name << ", " << rows << " rows";
        for (size_t i = 0; i < mlp.watched.size(); ++i) {
          const Tensor gradient = got.of(mlp.watched[i]);
          ASSERT_EQ(gradient.shape(), mlp.watched[i].shape());
          EXPECT_LT(distance(gradient, wanted.of(mlp.watched[i])), 6e-3)
              << table->name << ", " << rows << " rows, gradient " << i;
        }
        // Without a tape it is the same to the bit, as blocks that are computed again need.
        Tensor again;
        {
          Tape tape;
          tape.watch(mlp.x());
          again = remat(mlp.x(), [&](const Tensor&) { return adapted_mlp(mlp.x(), mlp.operands); });
        }
        Gradients ignored;
        EXPECT_EQ(again.to_vector(), run(true, ignored).to_vector());
      }
    }
  }
}

TEST(GatedMlp, IsNotFusedForFewRowsOrInExactMode) {
  Context fast({.threads = 1}), exact({.threads = 1, .precision = Precision::kExact});
  EXPECT_FALSE(
      fuses_adapted_mlp(random_tensor(fast, {3, kWidth}, 1), Mlp(fast, Format::kQ8_0, 3).operands));
  EXPECT_FALSE(fuses_adapted_mlp(random_tensor(exact, {64, kWidth}, 1),
                                 Mlp(exact, Format::kQ8_0, 64).operands));
}

}  // namespace
}  // namespace zhiyin
