// Codes taken out of packed rows and put back.
#include "quant/codes.h"

#include <gtest/gtest.h>

#include <cmath>

#include "base/random.h"

namespace zhiyin {
namespace {

TEST(Codes, OneMoreAddsOneStepAndNothingElse) {
  constexpr int64_t kCount = 512;
  Random random(3);
  std::vector<float> values(kCount);
  for (float& value : values) value = static_cast<float>(random.uniform() - 0.4);
  int formats = 0;
  for (const FormatInfo& info : all_formats()) {
    if (!has_even_codes(info.format)) continue;
    ++formats;
    SCOPED_TRACE(info.name);
    std::vector<uint8_t> packed(static_cast<size_t>(row_bytes(info.format, kCount)));
    info.pack(values.data(), packed.data(), kCount, nullptr);
    std::vector<float> before(kCount), after(kCount);
    info.unpack(packed.data(), before.data(), kCount);
    RowCodes row;
    read_codes(info.format, packed.data(), kCount, row);
    std::vector<uint8_t> same = packed;
    write_codes(info.format, row, same.data(), kCount);
    EXPECT_EQ(same, packed);
    const std::vector<int16_t> old = row.codes;
    for (size_t i = 0; i < kCount; ++i) {
      ASSERT_GE(row.codes[i], row.least);
      ASSERT_LE(row.codes[i], row.most);
      if (i % 3 == 0)
        row.codes[i] =
            static_cast<int16_t>(row.codes[i] < row.most ? row.codes[i] + 1 : row.codes[i]);
    }
    write_codes(info.format, row, packed.data(), kCount);
    info.unpack(packed.data(), after.data(), kCount);
    for (size_t i = 0; i < kCount; ++i) {
      const float change = row.codes[i] == old[i] ? 0 : row.steps[i];
      EXPECT_NEAR(after[i] - before[i], change, 1e-5f * (1 + std::fabs(before[i]))) << i;
    }
  }
  EXPECT_EQ(formats, 8);
}

}  // namespace
}  // namespace zhiyin
