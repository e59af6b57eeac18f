// Owns how the machine's CPUs are divided into slots, one worker each. Used by cpu_inventory; pure but for read_cpus().
#pragma once

#include <vector>

namespace moelab::server {

// A logical CPU as the kernel numbers it. Those with the same package and core are threads of one core.
struct LogicalCpu {
  int id = 0;
  int package = 0;
  int core = 0;
};

// CPUs that this process may use: fewer than the machine has under taskset or in a container with a CPU set. Empty when the
// kernel does not tell.
std::vector<LogicalCpu> read_cpus();

// The ids of each slot's CPUs: as equal in number as they can be, neighbours together (threads of a core, then cores of a
// package). With more slots than CPUs several slots share one. `cpus` is not empty, `slots` > 0.
std::vector<std::vector<int>> divide(std::vector<LogicalCpu> cpus, int slots);

}  // namespace moelab::server
