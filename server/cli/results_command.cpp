// moelab results: what the runs of an experiment reached, against its baseline.
#include <iostream>

#include "core/error.h"
#include "server/cli/lookup.h"
#include "server/cli/result_tables.h"
#include "server/cli/verbs.h"

namespace moelab::server::cli {

namespace {

using nlohmann::json;

struct Options {
  std::string experiment;
  bool as_json = false, as_csv = false;
};

int results(const Options& options) {
  const Client client = Client::connect();
  json experiments = json::array();
  if (options.experiment.empty()) {
    const json newest_first = client.get("/api/v1/experiments").at("experiments");
    for (auto experiment = newest_first.rbegin(); experiment != newest_first.rend(); ++experiment) experiments.push_back(*experiment);
  } else {
    experiments.push_back(find_experiment(client, options.experiment));
  }
  if (!options.as_json && !options.as_csv) {
    std::cout << (experiments.empty() ? "No experiments yet: `moelab submit FILE` makes some.\n"
                                      : results_text(client, experiments, Terminal::of_stdout()));
    return core::kExitDone;
  }
  json tables = json::array();
  for (const json& experiment : experiments) {
    json table = client.get("/api/v1/experiments/" + experiment.at("id").dump() + "/results");
    table["experiment"] = experiment.at("name");
    tables.push_back(std::move(table));
  }
  if (options.as_json) {
    std::cout << tables.dump(2) << "\n";
    return core::kExitDone;
  }
  if (tables.size() != 1) throw core::Error(core::ErrorKind::usage, "Name one experiment for --csv: a table has one title line.");
  std::cout << result_table(tables.front(), true).csv();
  return core::kExitDone;
}

}  // namespace

void add_results_verb(Verbs& verbs) {
  auto options = std::make_shared<Options>();
  CLI::App& verb = verbs.add("results", "Result table with deltas against the baseline of the same seed",
                             "  moelab results\n  moelab results a_load_balance --csv", [options] { return results(*options); });
  verb.add_option("EXPERIMENT", options->experiment, "By name or id; default all");
  auto* json_flag = verb.add_flag("--json", options->as_json, "As JSON, a list of tables");
  verb.add_flag("--csv", options->as_csv, "As CSV, in full precision")->excludes(json_flag);
}

}  // namespace moelab::server::cli
