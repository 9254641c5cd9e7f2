#include <cstring>
#include <string>
#include <vector>

#include "base/cpu_features.h"
#include "base/error.h"
#include "kernels/kernels.h"
#include "kernels/ref/kernels_ref.h"

#if defined(__x86_64__)
#include "kernels/amx/kernels_amx.h"
#include "kernels/avx2/kernels_avx2.h"
#include "kernels/avx512/kernels_avx512.h"
#endif

namespace zhiyin {
namespace {

// A set is used whole: a CPU with AVX-512 but without VNNI and BF16 runs the avx2 table.
struct IsaRow {
  Isa isa;
  const char* name;  // in ZHIYIN_ISA
  KernelTable (*make_table)();
  std::vector<CpuFeature> needs;
};

// Slowest first.
const std::vector<IsaRow>& isa_rows() {
  using enum CpuFeature;
  static const std::vector<IsaRow> rows = {
      {Isa::kRef, "ref", ref::make_table, {}},
#if defined(__x86_64__)
      {Isa::kAvx2, "avx2", avx2::make_table, {kAvx2, kFma, kF16c, kBmi2}},
      {Isa::kAvx512,
       "avx512",
       avx512::make_table,
       {kAvx2, kFma, kF16c, kBmi2, kAvx512f, kAvx512bw, kAvx512vl, kAvx512dq, kAvx512Vnni,
        kAvx512Bf16}},
      {Isa::kAmx,
       "amx",
       amx::make_table,
       {kAvx2, kFma, kF16c, kBmi2, kAvx512f, kAvx512bw, kAvx512vl, kAvx512dq, kAvx512Vnni,
        kAvx512Bf16, kAmxTile, kAmxInt8, kAmxBf16}},
#endif
  };
  return rows;
}

std::vector<const char*> missing_features(const IsaRow& row) {
  std::vector<const char*> missing;
  for (const CpuFeature feature : row.needs) {
    if (!cpu_has(feature)) missing.push_back(cpu_feature_name(feature));
  }
  return missing;
}

// Made once, for the sets that this CPU runs: make_table is itself code of its instruction set.
struct Tables {
  std::vector<KernelTable> tables;  // slowest first
  Tables() {
    for (const IsaRow& row : isa_rows()) {
      if (missing_features(row).empty()) tables.push_back(row.make_table());
    }
  }
};
const std::vector<KernelTable>& tables() {
  static const Tables made;
  return made.tables;
}

}  // namespace

const KernelTable* kernel_table(Isa isa) {
  for (const KernelTable& table : tables()) {
    if (table.isa == isa) return &table;
  }
  return nullptr;
}

const KernelTable& best_kernel_table() { return tables().back(); }

const KernelTable& kernel_table_named(const char* name) {
  std::vector<const char*> known;
  for (const IsaRow& row : isa_rows()) {
    known.push_back(row.name);
    if (std::strcmp(row.name, name) != 0) continue;
    if (const KernelTable* table = kernel_table(row.isa)) return *table;
    fail(ErrorCode::kUnsupported, "ZHIYIN_ISA: ", name, " cannot run on this CPU (",
         cpu_model_name(), "), which lacks ", join(missing_features(row)), "; leave it unset for ",
         best_kernel_table().name);
  }
  fail(ErrorCode::kUsage, "ZHIYIN_ISA: unknown instruction set \"", name, "\"; known are ",
       join(known));
}

}  // namespace zhiyin
