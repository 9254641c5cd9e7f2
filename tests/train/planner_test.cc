// The length of a run, and packs of rows.
#include "train/planner.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/random.h"
#include "train/packing.h"

namespace zhiyin::testing {
namespace {

TEST(RunLength, UpdatesAsInTransformers) {
  EXPECT_EQ((RunLength{.rows = 128, .rows_per_step = 8, .epochs = 3}).updates(), 48);
  EXPECT_EQ((RunLength{.rows = 142, .rows_per_step = 16, .epochs = 3}).updates(), 27);
  EXPECT_EQ((RunLength{.rows = 10, .rows_per_step = 4, .epochs = 1.5}).updates(), 5);
  EXPECT_EQ((RunLength{.rows = 10, .rows_per_step = 4, .epochs = 3, .max_steps = 7}).updates(), 7);
}

TEST(RunLength, ALongerRunHasEnoughUpdatesAndIsNeverShorter) {
  for (const int64_t rows : {1, 5, 11, 40, 99, 128, 142, 399, 400, 5000}) {
    for (const int64_t rows_per_step : {1, 3, 8, 64}) {
      const RunLength run{.rows = rows, .rows_per_step = rows_per_step, .epochs = 3};
      const RunLength longer = longer_run(run);
      EXPECT_GE(longer.updates(), run.updates());
      EXPECT_LE(longer.rows_per_step, rows_per_step);
      EXPECT_LE(longer.epochs, 10);
      if (rows >= 10) {
        EXPECT_GE(longer.updates(), kFewUpdates) << rows << " / " << rows_per_step;
      }
      if (run.updates() >= kFewUpdates) {
        EXPECT_EQ(longer.updates(), run.updates());
      }
    }
  }
}

TEST(Packing, EveryRowOnceWithinTheLimitAndTight) {
  Random random(3);
  std::vector<TrainRow> rows;
  int64_t tokens = 0;
  for (int i = 0; i < 300; ++i) {
    const size_t length = i == 7 ? 150 : 2 + random.below(60);
    rows.push_back({std::vector<int32_t>(length, i), std::vector<int32_t>(length, i), 1});
    tokens += static_cast<int64_t>(length);
  }
  const std::vector<TrainUnit> units = packed_units(rows, 100);
  std::set<const TrainRow*> seen;
  const TrainRow* before = nullptr;
  for (const TrainUnit& unit : units) {
    size_t total = 0;
    for (const TrainRow* row : unit) {
      EXPECT_TRUE(seen.insert(row).second);
      total += row->ids.size();
    }
    EXPECT_TRUE(total <= 100 || (unit.size() == 1 && total == 150));
    EXPECT_LT(before, unit[0]);
    before = unit[0];
  }
  EXPECT_EQ(seen.size(), rows.size());
  // Best-fit decreasing wastes little on rows of this kind.
  EXPECT_LT(static_cast<double>(units.size()), 1.05 * static_cast<double>(tokens) / 100 + 1);
  EXPECT_EQ(single_units(rows).size(), rows.size());
}

}  // namespace
}  // namespace zhiyin::testing
