// Random numbers from a counter (Philox 4x32-10; Salmon et al. 2011, "Parallel random numbers: as
// easy as 1, 2, 3"): the i-th number of a key can be computed without those before it, so results
// do not depend on threads, and the whole state is two integers that a checkpoint can hold.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <utility>

namespace zhiyin {

// 128 random bits for (key, counter).
std::array<uint32_t, 4> philox(uint64_t key, uint64_t counter);

class Random {
 public:
  explicit Random(uint64_t seed, uint64_t position = 0) : seed_(seed), position_(position) {}

  uint32_t next();
  double uniform();                // [0, 1) with 53 bits
  uint64_t below(uint64_t bound);  // [0, bound) without bias; bound > 0
  double normal();                 // Box and Muller

  // To go on later from the same place: Random(seed(), position()).
  uint64_t seed() const { return seed_; }
  uint64_t position() const { return position_; }

 private:
  uint64_t seed_;
  uint64_t position_;  // numbers drawn so far
};

// In any order, each as likely (Fisher and Yates).
template <typename Item>
void shuffle(std::span<Item> items, Random& random) {
  for (size_t i = items.size(); i > 1; --i) std::swap(items[i - 1], items[random.below(i)]);
}

}  // namespace zhiyin
