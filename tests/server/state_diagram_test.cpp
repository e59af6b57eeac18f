// The diagram of states in server/README.md is drawn from the table; MOELAB_UPDATE_GOLDEN=1 draws it anew.
#include <doctest/doctest.h>

#include <cstdlib>
#include <string>

#include "core/run_state.h"
#include "tests/db/temp_dir.h"

using namespace moelab;

namespace {

// Live states in the middle, the ends below; the ways back to the queue from ended states are one line.
std::string diagram() {
  std::string text = "```mermaid\nstateDiagram-v2\n  [*] --> queued: submit\n";
  std::string ended;
  for (const core::RunState from : core::all_run_states()) {
    if (core::is_terminal(from)) {
      ended += (ended.empty() ? "" : ", ") + core::to_string(from);
      continue;
    }
    for (const core::RunState to : core::next_states(from)) text += "  " + core::to_string(from) + " --> " + core::to_string(to) + "\n";
  }
  return text + "  note right of queued: from " + ended + " by retry or rerun\n```\n";
}

}  // namespace

TEST_CASE("the diagram of states in the README is the table") {
  const std::filesystem::path file = std::filesystem::path(MOELAB_SOURCE_DIR) / "server/README.md";
  std::string readme = test::read_text(file);
  const std::size_t begin = readme.find("```mermaid\n");
  REQUIRE(begin != std::string::npos);
  const std::size_t end = readme.find("```\n", begin + 3) + 4;
  if (std::getenv("MOELAB_UPDATE_GOLDEN")) {
    readme.replace(begin, end - begin, diagram());
    test::write_text(file, readme);
    return;
  }
  CHECK(readme.substr(begin, end - begin) == diagram());
}
