#include "base/cpu_features.h"

#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <fstream>
#include <set>
#include <string>
#include <utility>

#include "base/cat.h"

#if defined(__x86_64__)
#include <cpuid.h>
#endif

namespace zhiyin {
namespace {

#if defined(__x86_64__)

enum Register { kEax, kEbx, kEcx, kEdx };
using Registers = std::array<unsigned, 4>;

Registers cpuid(unsigned leaf, unsigned subleaf = 0) {
  Registers r{};
  __get_cpuid_count(leaf, subleaf, &r[kEax], &r[kEbx], &r[kEcx], &r[kEdx]);  // 0 if out of range
  return r;
}

// State components in XCR0: the registers that the operating system saves.
constexpr uint64_t kYmmState = 0x6;       // SSE, AVX
constexpr uint64_t kZmmState = 0xe6;      // + opmask, upper halves, zmm16-31
constexpr uint64_t kTileState = 0x60000;  // tile configuration, tile data

struct FeatureRow {
  CpuFeature feature;
  const char* name;
  unsigned leaf, subleaf;
  Register in;
  int bit;
  uint64_t state;
};

// In the order of the enum. Intel SDM volume 2A, CPUID.
constexpr FeatureRow kFeatures[kCpuFeatureCount] = {
    {CpuFeature::kAvx2, "avx2", 7, 0, kEbx, 5, kYmmState},
    {CpuFeature::kFma, "fma", 1, 0, kEcx, 12, kYmmState},
    {CpuFeature::kF16c, "f16c", 1, 0, kEcx, 29, kYmmState},
    {CpuFeature::kBmi2, "bmi2", 7, 0, kEbx, 8, 0},
    {CpuFeature::kAvx512f, "avx512f", 7, 0, kEbx, 16, kZmmState},
    {CpuFeature::kAvx512bw, "avx512bw", 7, 0, kEbx, 30, kZmmState},
    {CpuFeature::kAvx512vl, "avx512vl", 7, 0, kEbx, 31, kZmmState},
    {CpuFeature::kAvx512dq, "avx512dq", 7, 0, kEbx, 17, kZmmState},
    {CpuFeature::kAvx512Vnni, "avx512_vnni", 7, 0, kEcx, 11, kZmmState},
    {CpuFeature::kAvx512Bf16, "avx512_bf16", 7, 1, kEax, 5, kZmmState},
    {CpuFeature::kAmxTile, "amx_tile", 7, 0, kEdx, 24, kTileState},
    {CpuFeature::kAmxInt8, "amx_int8", 7, 0, kEdx, 25, kTileState},
    {CpuFeature::kAmxBf16, "amx_bf16", 7, 0, kEdx, 22, kTileState},
};

uint64_t saved_states() {
  constexpr unsigned kOsxsave = 1u << 27;
  if ((cpuid(1)[kEcx] & kOsxsave) == 0) return 0;
  unsigned low = 0;
  unsigned high = 0;
  asm volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return uint64_t{high} << 32 | low;
}

// Linux gives a process the 8 KiB of tile registers only when it asks
// (Documentation/arch/x86/xstate).
bool tiles_permitted() {
  constexpr int kRequestPermission = 0x1023;  // ARCH_REQ_XCOMP_PERM
  constexpr int kTileData = 18;
  return syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
}

uint32_t detect() {
  const uint64_t states = saved_states();
  uint32_t found = 0;
  for (int i = 0; i < kCpuFeatureCount; ++i) {
    const FeatureRow& row = kFeatures[i];
    const bool in_cpu = (cpuid(row.leaf, row.subleaf)[row.in] >> row.bit & 1) != 0;
    if (in_cpu && (states & row.state) == row.state) found |= 1u << i;
  }
  constexpr uint32_t kAmx = 1u << static_cast<int>(CpuFeature::kAmxTile) |
                            1u << static_cast<int>(CpuFeature::kAmxInt8) |
                            1u << static_cast<int>(CpuFeature::kAmxBf16);
  if ((found & kAmx) != 0 && !tiles_permitted()) found &= ~kAmx;
  return found;
}

std::string detect_model_name() {
  constexpr unsigned kBrand = 0x80000002;
  if (cpuid(0x80000000)[kEax] < kBrand + 2) return "unknown";
  std::string name;
  for (unsigned leaf = kBrand; leaf <= kBrand + 2; ++leaf) {
    const Registers r = cpuid(leaf);
    name.append(reinterpret_cast<const char*>(r.data()), sizeof r);
  }
  name.resize(std::strlen(name.c_str()));
  const size_t begin = name.find_first_not_of(' ');
  if (begin == std::string::npos) return "unknown";
  return name.substr(begin, name.find_last_not_of(' ') + 1 - begin);
}

#endif

template <typename Value>
Value read_value(const std::string& path, Value fallback) {
  Value value = fallback;
  std::ifstream(path) >> value;
  return value;
}

// CPUs that the control group's quota grants, rounded up; a large number without a quota.
int cpu_quota() {
  constexpr int kUnlimited = 1 << 20;
  double quota = -1;
  double period = 0;
  // Version 2: "max 100000" leaves quota unread.
  std::ifstream("/sys/fs/cgroup/cpu.max") >> quota >> period;
  if (period <= 0) {
    quota = read_value("/sys/fs/cgroup/cpu/cpu.cfs_quota_us", -1.0);
    period = read_value("/sys/fs/cgroup/cpu/cpu.cfs_period_us", 0.0);
  }
  if (quota <= 0 || period <= 0) return kUnlimited;
  return static_cast<int>(std::min<double>(kUnlimited, (quota + period - 1) / period));
}

int detect_cores() {
  cpu_set_t allowed;
  CPU_ZERO(&allowed);
  if (sched_getaffinity(0, sizeof allowed, &allowed) != 0) return 1;
  std::set<std::pair<int, int>> cores;  // (package, core)
  for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
    if (!CPU_ISSET(cpu, &allowed)) continue;
    const std::string topology = cat("/sys/devices/system/cpu/cpu", cpu, "/topology/");
    // Without topology every CPU counts as a core.
    cores.emplace(read_value(topology + "physical_package_id", -1),
                  read_value(topology + "core_id", cpu));
  }
  return std::max(1, std::min(static_cast<int>(cores.size()), cpu_quota()));
}

}  // namespace

bool cpu_has([[maybe_unused]] CpuFeature feature) {
#if defined(__x86_64__)
  static const uint32_t found = detect();
  return (found >> static_cast<int>(feature) & 1) != 0;
#else
  return false;
#endif
}

const char* cpu_feature_name([[maybe_unused]] CpuFeature feature) {
#if defined(__x86_64__)
  return kFeatures[static_cast<int>(feature)].name;
#else
  return "an x86-64 feature";
#endif
}

const char* cpu_model_name() {
#if defined(__x86_64__)
  static const std::string name = detect_model_name();
  return name.c_str();
#else
  return "unknown";
#endif
}

int physical_cores() {
  static const int cores = detect_cores();
  return cores;
}

}  // namespace zhiyin
