// moelab pause, resume, cancel, kill, retry, rerun (the table of run_verbs.h), priority, force.
#include <iostream>

#include "core/error.h"
#include "core/number_text.h"
#include "server/cli/checks.h"
#include "server/cli/format.h"
#include "server/cli/lookup.h"
#include "server/cli/verbs.h"
#include "server/run_verbs.h"

namespace moelab::server::cli {

namespace {

using nlohmann::json;

struct Options {
  std::vector<std::string> runs;
  std::string experiment, device;
  int priority = 0;
  bool as_json = false;
};

void print(const json& run) {
  const std::string why = text_or(run, "waiting").empty() ? text_or(run, "reason") : text_or(run, "waiting");
  std::cout << text_or(run, "name") << " (" << run.at("id") << "): " << text_or(run, "state") << (why.empty() ? "" : " - " + why) << "\n";
}

// Every name is looked up before anything is done: a slip in the last one changes nothing.
json find_ids(const Client& client, const std::vector<std::string>& names) {
  json ids = json::array();
  for (const std::string& name : names) ids.push_back(find_run(client, name).at("id"));
  return ids;
}

// `body` has what the verb takes beside the runs.
int act(const std::string& verb, const Options& options, json body = json::object()) {
  if (options.runs.empty() == options.experiment.empty()) {
    throw core::Error(core::ErrorKind::usage, "Name the runs to " + verb + ", or one experiment with --experiment.");
  }
  const Client client = Client::connect();
  const bool whole = !options.experiment.empty();
  if (!whole) body["ids"] = find_ids(client, options.runs);
  const json answer =
      client.post(whole ? "/api/v1/experiments/" + find_experiment(client, options.experiment).at("id").dump() + "/" + verb : "/api/v1/runs/" + verb,
                  body);
  if (options.as_json) {
    std::cout << answer.dump(2) << "\n";
  } else {
    for (const json& run : answer.at("runs")) print(run);
    const auto changed = static_cast<std::int64_t>(answer.at("runs").size());
    if (whole) std::cout << verb << ": " << core::counted(changed, "run") << ", " << answer.at("skipped").size() << " left alone.\n";
  }
  if (whole) return core::kExitDone;
  // Whoever names a run wants it done: one whose state does not allow it is no success.
  for (const json& skipped : answer.at("skipped")) std::cerr << "moelab: " << text_or(skipped, "reason") << "\n";
  return answer.at("skipped").empty() ? core::kExitDone : core::kExitNotFound;
}

void add_runs(CLI::App& verb, Options& options) {
  verb.add_option("RUN", options.runs, "Ids, names, or EXPERIMENT/NAME");
  verb.add_option("-e,--experiment", options.experiment, "Every run of this experiment whose state allows it");
  verb.add_flag("--json", options.as_json, "As JSON");
}

std::string examples(const std::string& verb) {
  return "  moelab " + verb + " 12 a1_lb_penalty\n  moelab " + verb + " --experiment a_load_balance";
}

}  // namespace

void add_control_verbs(Verbs& verbs) {
  for (const RunVerbInfo& info : run_verbs()) {
    auto options = std::make_shared<Options>();
    const std::string name(info.name);
    CLI::App& verb = verbs.add(name, std::string(info.summary), examples(name), [name, options] { return act(name, *options); });
    add_runs(verb, *options);
  }
  auto ranked = std::make_shared<Options>();
  CLI::App& priority_verb = verbs.add("priority", "Give runs another place in the queue; larger runs sooner",
                                      "  moelab priority 10 a1_lb_penalty\n  moelab priority 10 --experiment a_load_balance",
                                      [ranked] { return act("priority", *ranked, {{"priority", ranked->priority}}); });
  priority_verb.add_option("PRIORITY", ranked->priority, "-1000 to 1000; runs start with that of their file, else 0")
      ->required()
      ->check(whole_number(-1000, 1000));
  add_runs(priority_verb, *ranked);

  auto forced = std::make_shared<Options>();
  CLI::App& force_verb = verbs.add("force", "Start queued runs as soon as possible, also on a GPU that somebody else uses",
                                   "  moelab force a1_lb_penalty --device gpu0\n  moelab force --experiment a_load_balance", [forced] {
                                     return act("force", *forced, forced->device.empty() ? json::object() : json{{"device", forced->device}});
                                   });
  force_verb.add_option("--device", forced->device, "This one, as `moelab gpus` calls it; default any of the kind the run asks for");
  add_runs(force_verb, *forced);
}

}  // namespace moelab::server::cli
