#include "base/cpu_features.h"

#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <fstream>
#include <set>
#include <string>
#include <string_view>

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

// Quota over period, rounded up; a large number where there is none.
constexpr int kUnlimited = 1 << 20;
int whole_cpus(double quota, double period) {
  if (quota <= 0 || period <= 0) return kUnlimited;
  return static_cast<int>(std::min<double>(kUnlimited, std::ceil(quota / period)));
}

// The control group of this process, from the line of /proc/self/cgroup that begins so.
std::string own_group(std::string_view controller) {
  std::ifstream file("/proc/self/cgroup");
  for (std::string line; std::getline(file, line);) {
    // "0::/user.slice", of version 1 "4:cpu,cpuacct:/docker"
    const size_t first = line.find(':'), second = line.find(':', first + 1);
    if (second == std::string::npos) continue;
    const std::string controllers = "," + line.substr(first + 1, second - first - 1) + ",";
    if (controllers.find(cat(",", controller, ",")) != std::string::npos) {
      return line.substr(second + 1);
    }
  }
  return "/";
}

int detect_cores() {
  cpu_set_t allowed;
  CPU_ZERO(&allowed);
  if (sched_getaffinity(0, sizeof allowed, &allowed) != 0) return 1;
  std::vector<int> cpus;
  for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
    if (CPU_ISSET(cpu, &allowed)) cpus.push_back(cpu);
  }
  const std::string groups = "/sys/fs/cgroup";
  return std::max(1, std::min({distinct_cores("/sys/devices/system/cpu", cpus),
                               granted_cpus(groups, own_group("")),
                               granted_cpus(groups + "/cpu", own_group("cpu"))}));
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

int distinct_cores(const std::string& folder, const std::vector<int>& cpus) {
  std::set<std::string> cores;
  for (const int cpu : cpus) {
    const std::string topology = cat(folder, "/cpu", cpu, "/topology/");
    // "0,64": the CPUs of a core. Its number alone would not do: dies of a package may repeat it.
    std::string siblings = read_value<std::string>(topology + "core_cpus_list", "");
    if (siblings.empty()) siblings = read_value<std::string>(topology + "thread_siblings_list", "");
    cores.insert(siblings.empty() ? cat("cpu", cpu) : siblings);
  }
  return static_cast<int>(cores.size());
}

int granted_cpus(const std::string& root, const std::string& group) {
  int granted = kUnlimited;
  for (std::string path = group;; path.resize(path.rfind('/'))) {
    if (path == "/") path.clear();
    double quota = -1, period = 0;
    // "max 100000" leaves both unread.
    std::ifstream(root + path + "/cpu.max") >> quota >> period;
    granted = std::min(granted, whole_cpus(quota, period));
    granted = std::min(granted, whole_cpus(read_value(root + path + "/cpu.cfs_quota_us", -1.0),
                                           read_value(root + path + "/cpu.cfs_period_us", 0.0)));
    if (path.find('/') == std::string::npos) return granted;
  }
}

int physical_cores() {
  static const int cores = detect_cores();
  return cores;
}

}  // namespace zhiyin
