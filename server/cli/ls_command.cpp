// moelab ls: runs, or experiments.
#include <iostream>

#include "core/error.h"
#include "server/cli/checks.h"
#include "server/cli/format.h"
#include "server/cli/lookup.h"
#include "server/cli/table.h"
#include "server/cli/verbs.h"

namespace moelab::server::cli {

namespace {

using nlohmann::json;

struct Options {
  std::string state, experiment, tag, search, sort;
  std::size_t limit = 0;
  bool experiments = false, archived = false, as_json = false, as_csv = false;
};

std::string progress_text(const json& run) {
  if (run.at("max_steps").is_null()) return run.at("step") == 0 ? "" : run.at("step").dump();
  return run.at("step").dump() + "/" + run.at("max_steps").dump();
}

std::string metric(const json& run, const std::string& name, int decimals, bool precise) {
  const json& metrics = run.at("metrics");
  if (!has_number(metrics, name)) return "";
  const double value = number_or(metrics, name, 0);
  return precise ? full(value) : fixed(value, decimals);
}

Table run_table(const std::vector<json>& runs, bool precise) {
  Table table({{"id", true},
               {"run"},
               {"experiment"},
               {"state"},
               {"step", true},
               {"train/loss", true},
               {"eval/loss", true},
               {"tokens/s", true},
               {"eta", true},
               {"runtime", true},
               {"device"},
               {"reason", false, true}});
  for (const json& run : runs) {
    const std::string state = text_or(run, "state");
    const double runtime_s = number_or(run, "runtime_s", 0), tokens_per_sec = number_or(run.at("metrics"), "perf/tokens_per_sec", 0);
    table.add({run.at("id").dump(), Cell(text_or(run, "name"), Tone::strong), text_or(run, "experiment"), Cell(state, tone_of(state)),
               progress_text(run), metric(run, "train/loss", 4, precise), metric(run, "eval/loss", 4, precise),
               tokens_per_sec <= 0 ? "" : (precise ? full(tokens_per_sec) : count(tokens_per_sec)),
               has_number(run, "eta_s") ? duration(number_or(run, "eta_s", 0)) : "",
               runtime_s <= 0 ? "" : (precise ? full(runtime_s) : duration(runtime_s)), text_or(run, "device"),
               Cell(text_or(run, "waiting").empty() ? text_or(run, "reason") : text_or(run, "waiting"), Tone::faint)});
  }
  return table;
}

Table experiment_table(const json& experiments) {
  Table table(
      {{"id", true}, {"experiment"}, {"matrix"}, {"profile"}, {"state"}, {"progress", true}, {"runs", true}, {"eta", true}, {"baseline"}});
  for (const json& experiment : experiments) {
    const std::string state = text_or(experiment, "state");
    table.add({experiment.at("id").dump(), Cell(text_or(experiment, "name"), Tone::strong), text_or(experiment, "matrix"),
               text_or(experiment, "profile"), Cell(state, tone_of(state)), percent(experiment.at("progress").get<double>()),
               experiment.at("total").dump(), has_number(experiment, "eta_s") ? duration(number_or(experiment, "eta_s", 0)) : "",
               text_or(experiment, "baseline")});
  }
  return table;
}

void print(const Table& table, const json& whole, const Options& options, const std::string& nothing) {
  if (options.as_json) {
    std::cout << whole.dump(2) << "\n";
  } else if (options.as_csv) {
    std::cout << table.csv();
  } else {
    std::cout << (table.empty() ? nothing : table.text(Terminal::of_stdout()));
  }
}

std::string filter_of(const Client& client, const Options& options) {
  std::string filter;
  const auto add = [&filter](const std::string& name, const std::string& value) {
    if (!value.empty()) filter += (filter.empty() ? "" : "&") + name + "=" + url_escape(value);
  };
  add("state", options.state);
  if (!options.experiment.empty()) add("experiment", find_experiment(client, options.experiment).at("id").dump());
  add("tag", options.tag);
  add("search", options.search);
  add("sort", options.sort);
  add("archived", options.archived ? "true" : "");
  return filter;
}

int ls(const Options& options) {
  const Client client = Client::connect();
  if (options.experiments) {
    const json experiments = client.get(std::string("/api/v1/experiments") + (options.archived ? "?archived=true" : "")).at("experiments");
    print(experiment_table(experiments), experiments, options, "No experiments yet: `moelab submit FILE` makes some.\n");
    return core::kExitDone;
  }
  const std::vector<json> runs = list_runs(client, filter_of(client, options), options.limit);
  print(run_table(runs, options.as_csv), json(runs), options, "No such runs.\n");
  return core::kExitDone;
}

}  // namespace

void add_ls_verb(Verbs& verbs) {
  auto options = std::make_shared<Options>();
  CLI::App& verb = verbs.add("ls", "List runs, newest first",
                             "  moelab ls --state running,queued\n  moelab ls --experiment c_granularity --sort metrics.eval/loss\n"
                             "  moelab ls --experiments --csv",
                             [options] { return ls(*options); });
  verb.add_option("--state", options->state, "Comma-separated states");
  verb.add_option("-e,--experiment", options->experiment, "Runs of this experiment, by name or id");
  verb.add_option("--tag", options->tag, "Runs with this tag");
  verb.add_option("--search", options->search, "Part of a run's or experiment's name");
  verb.add_option("--sort", options->sort, "id, name, state, started_at, ... or metrics.NAME; a leading - sorts downwards");
  verb.add_option("-n,--limit", options->limit, "Most runs to list; 0 = all")->check(whole_number(0));
  verb.add_flag("--archived", options->archived, "Archived ones too");
  verb.add_flag("--experiments", options->experiments, "List experiments instead");
  auto* json_flag = verb.add_flag("--json", options->as_json, "As JSON");
  verb.add_flag("--csv", options->as_csv, "As CSV, in full precision")->excludes(json_flag);
}

}  // namespace moelab::server::cli
