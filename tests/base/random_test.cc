#include "base/random.h"

#include <gtest/gtest.h>

#include <array>

namespace zhiyin {
namespace {

// Known answers of Philox 4x32-10 from the authors' test vectors (Random123, kat_vectors). There
// the counter has 128 bits; ours fills the lower half.
TEST(Random, AgreesWithThePaper) {
  EXPECT_EQ(philox(0, 0),
            (std::array<uint32_t, 4>{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
}

TEST(Random, GoesOnFromASavedPosition) {
  Random first(7);
  for (int i = 0; i < 13; ++i) first.next();
  first.normal();
  first.uniform();
  Random second(first.seed(), first.position());
  for (int i = 0; i < 20; ++i) EXPECT_EQ(first.next(), second.next());
  EXPECT_NE(Random(7).next(), Random(8).next());
}

TEST(Random, HasTheMomentsOfItsDistribution) {
  constexpr int kDraws = 200000;
  Random random(1);
  double uniform = 0, normal = 0, square = 0;
  std::array<int, 7> below{};
  for (int i = 0; i < kDraws; ++i) {
    const double u = random.uniform();
    ASSERT_TRUE(u >= 0 && u < 1);
    uniform += u;
    const double z = random.normal();
    normal += z;
    square += z * z;
    ++below.at(random.below(7));
  }
  EXPECT_NEAR(uniform / kDraws, 0.5, 0.004);  // six standard errors
  EXPECT_NEAR(normal / kDraws, 0, 0.014);
  EXPECT_NEAR(square / kDraws, 1, 0.02);
  for (int count : below) EXPECT_NEAR(count, kDraws / 7.0, 940);
}

}  // namespace
}  // namespace zhiyin
