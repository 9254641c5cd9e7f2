// What the processor and the operating system offer: instruction sets and cores.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace zhiyin {

enum class CpuFeature : uint8_t {
  kAvx2,
  kFma,
  kF16c,
  kBmi2,
  kAvx512f,
  kAvx512bw,
  kAvx512vl,
  kAvx512dq,
  kAvx512Vnni,
  kAvx512Bf16,
  kAmxTile,
  kAmxInt8,
  kAmxBf16,
};
inline constexpr int kCpuFeatureCount = 13;

// Whether the CPU has the feature and the operating system keeps its registers. For AMX the first
// call asks Linux for the permission that a process needs to use tiles.
bool cpu_has(CpuFeature feature);

// As Linux writes it in /proc/cpuinfo: "avx512_vnni".
const char* cpu_feature_name(CpuFeature feature);

// "AMD EPYC 9654 96-Core Processor", or "unknown".
const char* cpu_model_name();

// The number of threads that compute-bound work gains from: distinct physical cores that this
// process may run on, no more than the CPU quotas of its control groups grant; at least 1.
int physical_cores();

// Its parts. Cores among `cpus`, by Linux's /sys/devices/system/cpu or a folder like it; a CPU of
// which nothing is known counts as a core.
int distinct_cores(const std::string& folder, const std::vector<int>& cpus);
// What the quotas of a control group ("/a/b") and of those above it grant, rounded up; a large
// number where there is none. `root`: /sys/fs/cgroup (version 2), /sys/fs/cgroup/cpu (version 1).
int granted_cpus(const std::string& root, const std::string& group);

}  // namespace zhiyin
