#include "server/devices/cpu_slots.h"

#include <sched.h>

#include <algorithm>
#include <fstream>
#include <string>
#include <tuple>

namespace moelab::server {
namespace {

// Of /sys/devices/system/cpu/cpuN/topology; 0 when the kernel does not tell.
int topology(int cpu, const std::string& what) {
  std::ifstream in("/sys/devices/system/cpu/cpu" + std::to_string(cpu) + "/topology/" + what);
  int value = 0;
  return in >> value ? value : 0;
}

}  // namespace

std::vector<LogicalCpu> read_cpus() {
  std::vector<LogicalCpu> cpus;
  cpu_set_t set;
  CPU_ZERO(&set);
  if (::sched_getaffinity(0, sizeof set, &set) != 0) return cpus;
  for (int id = 0; id < CPU_SETSIZE; ++id) {
    if (CPU_ISSET(id, &set)) cpus.push_back({id, topology(id, "physical_package_id"), topology(id, "core_id")});
  }
  return cpus;
}

std::vector<std::vector<int>> divide(std::vector<LogicalCpu> cpus, int slots) {
  std::sort(cpus.begin(), cpus.end(), [](const LogicalCpu& a, const LogicalCpu& b) {
    return std::tuple(a.package, a.core, a.id) < std::tuple(b.package, b.core, b.id);
  });
  const std::size_t count = cpus.size(), parts = static_cast<std::size_t>(slots);
  std::vector<std::vector<int>> result(parts);
  for (std::size_t slot = 0; slot < parts; ++slot) {
    if (parts > count) {
      result[slot] = {cpus[slot % count].id};
      continue;
    }
    for (std::size_t i = slot * count / parts; i < (slot + 1) * count / parts; ++i) result[slot].push_back(cpus[i].id);
  }
  return result;
}

}  // namespace moelab::server
