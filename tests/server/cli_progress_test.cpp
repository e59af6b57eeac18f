#include <doctest/doctest.h>

#include <sstream>

#include "server/cli/progress.h"

using namespace moelab::server::cli;
using nlohmann::json;

namespace {

json run(int id, const std::string& name, const std::string& state, double progress) {
  return {{"id", id},
          {"name", name},
          {"state", state},
          {"progress", progress},
          {"step", static_cast<int>(progress * 100)},
          {"max_steps", 100},
          {"phase", nullptr},
          {"eta_s", 12},
          {"runtime_s", 61},
          {"reason", state == "failed" ? "the loss is NaN" : ""},
          {"device", "cpu0"},
          {"metrics", {{"train/loss", 2.5}, {"eval/loss", 2.25}}}};
}

}  // namespace

TEST_CASE("off a terminal: a line a change of state and every 10%, none twice") {
  std::ostringstream out;
  Progress progress(Terminal{}, out);
  progress.show({run(1, "a0", "queued", 0)});
  CHECK(out.str().empty());
  progress.show({run(1, "a0", "running", 0.02)});
  progress.show({run(1, "a0", "running", 0.05)});
  progress.show({run(1, "a0", "running", 0.11)});
  progress.show({run(1, "a0", "running", 0.19)});
  progress.show({run(1, "a0", "completed", 1)});
  progress.show({run(1, "a0", "completed", 1)});
  CHECK(out.str() ==
        "a0  running        2%  step 2/100  loss 2.5000\n"
        "a0  running        11%  step 11/100  loss 2.5000\n"
        "a0  completed      eval/loss 2.2500  in 1m 01s\n");
}

TEST_CASE("a run that failed says why") {
  std::ostringstream out;
  Progress(Terminal{}, out).show({run(1, "a0", "failed", 0.5)});
  CHECK(out.str().find("the loss is NaN") != std::string::npos);
}

TEST_CASE("on a terminal the region is redrawn and never wraps") {
  Terminal terminal;
  terminal.interactive = true;
  terminal.columns = 60;
  terminal.rows = 10;
  std::ostringstream out;
  Progress progress(terminal, out);
  progress.show({run(1, "a0", "running", 0.5), run(2, "a1", "queued", 0)});
  CHECK(out.str().find("############------------ 50%") != std::string::npos);
  CHECK(out.str().find("2 runs: 1 queued, 1 running") != std::string::npos);
  std::istringstream lines(out.str());
  for (std::string line; std::getline(lines, line);) CHECK(display_width(line) < 60);

  out.str("");
  progress.show({run(1, "a0", "completed", 1), run(2, "a1", "running", 0.1)});
  CHECK(out.str().starts_with("\033[2A\r\033[J"));  // a bar and the summary go
  CHECK(out.str().find("a0  completed") != std::string::npos);
}

TEST_CASE("more runs than rows do not scroll the region away") {
  Terminal terminal;
  terminal.interactive = true;
  terminal.columns = 80;
  terminal.rows = 8;
  std::vector<json> runs;
  for (int i = 1; i <= 20; ++i) runs.push_back(run(i, "r" + std::to_string(i), "running", 0.1));
  std::ostringstream out;
  Progress progress(terminal, out);
  progress.show(runs);
  const std::string text = out.str();
  CHECK(std::count(text.begin(), text.end(), '\n') < 8);
}
