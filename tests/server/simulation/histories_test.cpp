// Scheduler, dispatcher, ingest, submission and stores through thousands of random histories: workers crash, hang, run out of memory
// and finish; the daemon dies at any effect or commit and comes back; commits fail; GPUs vanish, are used by others, keep memory;
// share them, go into quarantine; workers sit on the wrong one; the machine is started again; the clock is set; experiments prune; people
// submit twice, cancel, pause, retry, force, hold, drain and delete; in the end some databases are rebuilt from the files.
//   MOELAB_SIM_COUNT=N  so many histories (default: as in tests/CMakeLists.txt)    MOELAB_SIM_FIRST=N  from this seed on
//   MOELAB_SIM_SEED=N   only this one, telling what happens
#include <doctest/doctest.h>
#include <spdlog/spdlog.h>

#include <cstdlib>
#include <string>

#include "tests/server/simulation/world.h"

using namespace moelab;

namespace {

constexpr int kRounds = 24;
constexpr int kMostFailures = 5;

unsigned number(const char* name, unsigned otherwise) {
  const char* const text = std::getenv(name);
  return text ? static_cast<unsigned>(std::stoul(text)) : otherwise;
}

void live_through(unsigned seed, sim::Coverage& coverage, bool verbose) {
  sim::World world(seed, coverage, verbose);
  world.live(kRounds);
  world.settle();
}

std::string table(const std::map<std::string, std::int64_t>& counts) {
  std::string text;
  for (const auto& [name, count] : counts) text += (text.empty() ? "" : ", ") + name + " " + std::to_string(count);
  return text;
}

}  // namespace

TEST_CASE("random histories lose no run, run none twice, share no device and make only legal transitions") {
  const unsigned only = number("MOELAB_SIM_SEED", 0);
  const unsigned first = only ? only : number("MOELAB_SIM_FIRST", 1), count = only ? 1 : number("MOELAB_SIM_COUNT", 500);
  const spdlog::level::level_enum level = spdlog::get_level();
  spdlog::set_level(only ? spdlog::level::info : spdlog::level::off);  // crashes are the point here
  sim::Coverage coverage;
  int failures = 0;
  for (unsigned seed = first; seed < first + count && failures < kMostFailures; ++seed) {
    std::string why;
    try {
      live_through(seed, coverage, only != 0);
    } catch (const sim::Violation& violation) {
      why = violation.what;
    } catch (const std::exception& e) {
      why = e.what();
    }
    if (why.empty()) continue;
    ++failures;
    FAIL_CHECK("history " << seed << ", " << why << "\nTo see it again: MOELAB_SIM_SEED=" << seed);
  }
  spdlog::set_level(level);
  MESSAGE(count << " histories\nthe daemon died while runs were: " << table(coverage.deaths_in) << "\nruns ended: " << table(coverage.ends)
                << "\nwhat happened: " << table(coverage.events));
  if (only) return;
  // The histories are as eventful as they should be.
  for (const core::RunState state : core::all_run_states()) {
    CAPTURE(core::to_string(state));
    if (!core::is_terminal(state)) CHECK(coverage.deaths_in[core::to_string(state)] > count / 100);
  }
  for (const char* event : {"a GPU is shared", "a run is pruned", "a run is deleted", "a rebuild"}) {
    CAPTURE(event);
    CHECK(coverage.events[event] > count / 100);
  }
}
