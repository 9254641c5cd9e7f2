// safetensors against files written by the safetensors Python package.
#include "io/safetensors.h"

#include "io/files.h"

namespace zhiyin {
namespace {

using testing::data_path;

TEST(Safetensors, ReadsTensorsInPlace) {
  const SafetensorsFile file = open_safetensors(data_path("io/types.safetensors"));
  EXPECT_EQ(file.metadata.at("名"), "值");
  EXPECT_EQ(file.tensors.size(), 5U);
}

}  // namespace
}  // namespace zhiyin
