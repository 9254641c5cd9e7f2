#include "autograd/tape.h"

#include <gtest/gtest.h>

#include "harness/check_op.h"
#include "ops/ops.h"

namespace zhiyin {
namespace {

Tensor parameter(Context& context, const Shape& shape, uint64_t seed) {
  return testing::random_tensor(context, shape, seed).with_id(new_value_id());
}

TEST(Tape, RecordsNothingWithoutAWatchedInput) {
  Context context({.threads = 1});
  const Tensor a = parameter(context, {2, 3}, 1), b = parameter(context, {2, 3}, 2);
  EXPECT_EQ(add(a, b).id(), 0u);
  Tape tape;
  EXPECT_EQ(add(a, b).id(), 0u);
  tape.watch(a);
  EXPECT_NE(add(a, b).id(), 0u);
  const NoTape quiet;
  EXPECT_EQ(add(a, b).id(), 0u);
}

TEST(Tape, SumsTheGradientsOfAValueUsedTwice) {
  Context context({.threads = 1});
  const Tensor a = parameter(context, {1}, 1);
  Tape tape;
  tape.watch(a);
  const Tensor y = add(scale(a, 2.0f), scale(a, 3.0f));
  EXPECT_FLOAT_EQ(tape.backward(y).of(a).item(), 5.0f);
}

TEST(Tape, RematGivesTheSameGradients) {
  Context context({.threads = 2});
  const Tensor x = parameter(context, {4, 8}, 1), w1 = parameter(context, {8, 8}, 2),
               w2 = parameter(context, {8, 8}, 3);
  const auto block = [&](const Tensor& h) { return add(h, linear(swiglu(linear(h, w1), h), w2)); };
  std::vector<std::vector<float>> results[2];
  for (const bool recompute : {false, true}) {
    Tape tape;
    for (const Tensor& t : {x, w1, w2}) tape.watch(t);
    Tensor h = x;
    for (int i = 0; i < 3; ++i) h = recompute ? remat(h, block) : block(h);
    Gradients g = tape.backward(h, testing::random_tensor(context, h.shape(), 5));
    for (const Tensor& t : {x, w1, w2}) results[recompute].push_back(g.of(t).to_vector());
  }
  EXPECT_EQ(results[0], results[1]);
}

}  // namespace
}  // namespace zhiyin
