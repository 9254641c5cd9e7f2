#include <gmock/gmock.h>

#include "base/cpu_features.h"
#include "base/error.h"
#include "kernels/every_table.h"

namespace zhiyin::testing {
namespace {

TEST(SelectTest, RefRunsEverywhere) {
  ASSERT_NE(kernel_table(Isa::kRef), nullptr);
  EXPECT_EQ(&kernel_table_named("ref"), kernel_table(Isa::kRef));
}

TEST(SelectTest, BestIsTheLastThatRuns) { EXPECT_EQ(&best_kernel_table(), every_table().back()); }

TEST(SelectTest, NamesFindTheirTables) {
  constexpr struct {
    const char* name;
    Isa isa;
  } kNames[] = {{"avx2", Isa::kAvx2}, {"avx512", Isa::kAvx512}, {"amx", Isa::kAmx}};
  for (const auto& [name, isa] : kNames) {
    if (const KernelTable* table = kernel_table(isa)) {
      EXPECT_EQ(&kernel_table_named(name), table);
      EXPECT_EQ(table->isa, isa);
      continue;
    }
    try {
      kernel_table_named(name);
      FAIL() << name;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kUnsupported);
      EXPECT_THAT(error.what(), ::testing::HasSubstr(name));
      EXPECT_THAT(error.what(), ::testing::HasSubstr("lacks"));
    }
  }
}

TEST(SelectTest, UnknownNameListsTheKnown) {
  try {
    kernel_table_named("neon");
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kUsage);
    EXPECT_THAT(error.what(), ::testing::HasSubstr("\"neon\""));
    EXPECT_THAT(error.what(), ::testing::HasSubstr("ref"));
  }
}

TEST(CpuFeaturesTest, LaterSetsNeedTheEarlier) {
  if (cpu_has(CpuFeature::kAvx512Vnni)) {
    EXPECT_TRUE(cpu_has(CpuFeature::kAvx512f));
  }
  if (cpu_has(CpuFeature::kAvx512f)) {
    EXPECT_TRUE(cpu_has(CpuFeature::kAvx2));
  }
  EXPECT_GE(physical_cores(), 1);
  EXPECT_STREQ(cpu_feature_name(CpuFeature::kAvx512Bf16), "avx512_bf16");
}

}  // namespace
}  // namespace zhiyin::testing
