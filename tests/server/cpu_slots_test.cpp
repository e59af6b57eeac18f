// CPU slots: how the CPUs are divided, and what the inventory makes of it.
#include "server/devices/cpu_slots.h"

#include <doctest/doctest.h>

#include <set>

#include "server/devices/device_inventory.h"

using namespace moelab;
using server::divide;
using Parts = std::vector<std::vector<int>>;

namespace {

// Two threads a core, numbered as Linux often does: CPU i and CPU i + cores are of one core.
std::vector<server::LogicalCpu> machine(int packages, int cores_each, int threads) {
  std::vector<server::LogicalCpu> cpus;
  const int cores = packages * cores_each;
  for (int id = 0; id < cores * threads; ++id) cpus.push_back({id, id % cores / cores_each, id % cores_each});
  return cpus;
}

}  // namespace

TEST_CASE("CPUs are divided evenly, threads of a core and cores of a package together") {
  CHECK(divide(machine(1, 4, 1), 4) == Parts{{0}, {1}, {2}, {3}});
  CHECK(divide(machine(1, 4, 2), 4) == Parts{{0, 4}, {1, 5}, {2, 6}, {3, 7}});
  CHECK(divide(machine(1, 4, 2), 2) == Parts{{0, 4, 1, 5}, {2, 6, 3, 7}});
  CHECK(divide(machine(2, 2, 2), 2) == Parts{{0, 4, 1, 5}, {2, 6, 3, 7}});
  CHECK(divide(machine(1, 4, 1), 1) == Parts{{0, 1, 2, 3}});
}

TEST_CASE("what does not divide evenly differs by one CPU at most, and none is left out") {
  const Parts parts = divide(machine(1, 10, 1), 4);
  std::set<int> all;
  for (const std::vector<int>& part : parts) {
    CHECK((part.size() == 2 || part.size() == 3));
    all.insert(part.begin(), part.end());
  }
  CHECK(all.size() == 10);
}

TEST_CASE("more slots than CPUs share them") {
  CHECK(divide(machine(1, 2, 1), 5) == Parts{{0}, {1}, {0}, {1}, {0}});
}

TEST_CASE("CPU slots share the cores, each with CPUs of its own") {
  const std::size_t cores = server::read_cpus().size();
  REQUIRE(cores > 0);
  const auto one = server::make_cpu_inventory(1)->list();
  REQUIRE(one.size() == 1);
  CHECK(one[0].threads == static_cast<int>(cores));
  CHECK(one[0].cpus.size() == cores);
  const auto four = server::make_cpu_inventory(4)->list();
  REQUIRE(four.size() == 4);
  CHECK(four[3].id == "cpu3");
  CHECK(four[3].threads == std::max(1, static_cast<int>(cores) / 4));
  CHECK(four[3].cpus.size() >= static_cast<std::size_t>(four[3].threads));
  CHECK(server::make_cpu_inventory(0)->list().size() == std::min<std::size_t>(4, cores));
  CHECK(server::make_cpu_inventory(2, false)->list()[1].cpus.empty());
}
