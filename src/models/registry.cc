#include <array>

#include "base/error.h"
#include "models/family.h"

namespace zhiyin {

#define FAMILY(name) extern const Family family_##name;
#include "models/families.def"
#undef FAMILY

namespace {

const std::array kFamilies = {
#define FAMILY(name) &family_##name,
#include "models/families.def"
#undef FAMILY
};

}  // namespace

std::span<const Family* const> all_families() { return kFamilies; }

const Family& family_of(std::string_view architecture) {
  std::vector<std::string> known;
  for (const Family* family : kFamilies) {
    for (const std::string& name : family->architectures) {
      if (name == architecture) return *family;
      known.push_back(name);
    }
  }
  fail(ErrorCode::kUnsupported, "the architecture ", architecture, " is not known; zhiyin can run ",
       join(known));
}

std::unique_ptr<CausalLm> make_causal_lm(ModelConfig config, const Weights& weights,
                                         std::vector<std::string>* unused) {
  const Family& family = family_of(config.architecture);
  if (family.fixup != nullptr) family.fixup(config);
  std::unique_ptr<CausalLm> model = family.make(config, weights);
  if (unused != nullptr) *unused = weights.unused();
  return model;
}

}  // namespace zhiyin
