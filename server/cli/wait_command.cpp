// moelab wait: until runs have ended.
#include <iostream>

#include "core/error.h"
#include "server/cli/interrupt.h"
#include "server/cli/lookup.h"
#include "server/cli/verbs.h"
#include "server/cli/watch.h"

namespace moelab::server::cli {

namespace {

using nlohmann::json;

struct Options {
  std::vector<std::string> targets;
  bool all = false;
  bool progress = false;
  bool as_json = false;
};

// An experiment's name stands for its runs; anything else is a run.
std::vector<json> runs_of(const Client& client, const std::string& target) {
  const json experiments = client.get("/api/v1/experiments").at("experiments");
  for (const json& experiment : experiments) {
    if (experiment.at("name") != target) continue;
    return list_runs(client, "experiment=" + find_experiment(client, target).at("id").dump());
  }
  return {find_run(client, target)};
}

std::vector<json> watched(const Client& client, const Options& options) {
  if (options.all) return list_runs(client, "sort=id");
  std::vector<json> runs;
  for (const std::string& target : options.targets) {
    for (json& run : runs_of(client, target)) runs.push_back(std::move(run));
  }
  return runs;
}

int wait(const Options& options) {
  if (options.all == !options.targets.empty()) {
    throw core::Error(core::ErrorKind::usage, "Name experiments or runs to wait for, or --all for every run of the daemon.");
  }
  Interrupt::install();
  const Client client = Client::connect();
  Watch watch(client, watched(client, options));
  if (!watch_until_done(watch, options.progress && !options.as_json)) {
    std::cerr << "Stopped waiting; the runs go on. `moelab wait` waits again, `moelab cancel` ends them.\n";
    return core::kExitInterrupted;
  }
  if (options.as_json) std::cout << json(watch.runs()).dump(2) << "\n";
  return watch.exit_code();
}

}  // namespace

void add_wait_verb(Verbs& verbs) {
  auto options = std::make_shared<Options>();
  CLI::App& verb = verbs.add("wait", "Wait until runs have ended; 0 when all completed, 1 otherwise",
                             "  moelab wait --all --progress\n  moelab wait a_load_balance\n  moelab wait 12 a1_lb_penalty --json",
                             [options] { return wait(*options); });
  verb.add_option("TARGET", options->targets, "Experiments by name, runs by id or name");
  verb.add_flag("--all", options->all, "Every run of the daemon, those that have ended included");
  verb.add_flag("--progress", options->progress, "Show bars; without a terminal a line every 10%");
  verb.add_flag("--json", options->as_json, "Print the runs as JSON at the end");
}

}  // namespace moelab::server::cli
