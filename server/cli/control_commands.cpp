// moelab cancel, moelab retry.
#include <algorithm>
#include <iostream>

#include "core/error.h"
#include "server/cli/format.h"
#include "server/cli/lookup.h"
#include "server/cli/verbs.h"

namespace moelab::server::cli {

namespace {

using nlohmann::json;

struct Options {
  std::vector<std::string> runs;
  std::string experiment;
  bool as_json = false;
};

void print(const std::vector<json>& runs, bool as_json) {
  if (as_json) {
    std::cout << json(runs).dump(2) << "\n";
    return;
  }
  for (const json& run : runs) std::cout << text_or(run, "name") << " (" << run.at("id") << "): " << text_or(run, "state") << "\n";
}

// Every name is looked up before anything is done: a slip in the last one changes nothing.
std::vector<json> find_runs(const Client& client, const std::vector<std::string>& names) {
  std::vector<json> runs;
  for (const std::string& name : names) runs.push_back(find_run(client, name));
  return runs;
}

int cancel(const Options& options) {
  if (options.runs.empty() == options.experiment.empty()) {
    throw core::Error(core::ErrorKind::usage, "Name the runs to cancel, or one experiment with --experiment.");
  }
  const Client client = Client::connect();
  if (!options.experiment.empty()) {
    const json experiment = find_experiment(client, options.experiment);
    const json answer = client.post("/api/v1/experiments/" + experiment.at("id").dump() + "/cancel", json::object());
    std::cout << (options.as_json ? answer.dump(2) : answer.at("cancelled").dump() + " runs cancelled.") << "\n";
    return core::kExitDone;
  }
  const std::vector<json> named = find_runs(client, options.runs);
  json ids = json::array();
  for (const json& run : named) ids.push_back(run.at("id"));
  const auto cancelled = client.post("/api/v1/runs/cancel", {{"ids", ids}}).at("runs").get<std::vector<json>>();
  print(cancelled, options.as_json);
  // One that ended before the request came is no success for the person who wanted it stopped.
  int code = core::kExitDone;
  for (const json& run : named) {
    const auto same = [&](const json& other) { return other.at("id") == run.at("id"); };
    if (std::any_of(cancelled.begin(), cancelled.end(), same)) continue;
    std::cerr << "moelab: " << text_or(run, "name") << " has ended already (" << text_or(run, "state") << "); nothing to cancel.\n";
    code = core::kExitNotFound;
  }
  return code;
}

int retry(const Options& options) {
  const Client client = Client::connect();
  std::vector<json> retried;
  for (const json& run : find_runs(client, options.runs)) retried.push_back(client.post(run_path(run) + "/retry", json::object()));
  print(retried, options.as_json);
  return core::kExitDone;
}

}  // namespace

void add_control_verbs(Verbs& verbs) {
  auto cancelled = std::make_shared<Options>();
  CLI::App& cancel_verb = verbs.add("cancel", "Take runs off the queue; a running one checkpoints and leaves",
                                    "  moelab cancel 12 a1_lb_penalty\n  moelab cancel --experiment a_load_balance",
                                    [cancelled] { return cancel(*cancelled); });
  cancel_verb.add_option("RUN", cancelled->runs, "Ids, names, or EXPERIMENT/NAME");
  cancel_verb.add_option("-e,--experiment", cancelled->experiment, "Every run of this experiment that has not ended");
  cancel_verb.add_flag("--json", cancelled->as_json, "As JSON");

  auto retried = std::make_shared<Options>();
  CLI::App& retry_verb = verbs.add("retry", "Queue runs that ended without completing; they go on from their newest checkpoint",
                                   "  moelab retry a1_lb_penalty\n  moelab retry 12 13", [retried] { return retry(*retried); });
  retry_verb.add_option("RUN", retried->runs, "Ids, names, or EXPERIMENT/NAME")->required();
  retry_verb.add_flag("--json", retried->as_json, "As JSON");
}

}  // namespace moelab::server::cli
