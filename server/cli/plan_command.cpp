// moelab plan: what a matrix would train and cost. Needs no daemon.
#include <iostream>
#include <set>

#include "core/error.h"
#include "core/number_text.h"
#include "core/plan.h"
#include "db/database.h"
#include "db/run_store.h"
#include "server/app.h"
#include "server/cli/format.h"
#include "server/cli/submission.h"
#include "server/cli/table.h"
#include "server/cli/verbs.h"

namespace moelab::server::cli {

namespace {

using nlohmann::json;
namespace fs = std::filesystem;

// Replaces "planned" by the state of runs that the home's database knows by their key.
void fill_states(json& plan, const fs::path& home) {
  const fs::path file = home / "moelab.db";
  std::error_code missing;
  if (!fs::is_regular_file(file, missing)) return;
  db::Database database(file);
  database.read([&](db::Connection& connection) {
    db::RunStore runs(connection);
    for (json& run : plan.at("runs")) {
      const auto id = runs.find_by_key(run.at("key").get<std::string>());
      if (id) run["state"] = core::to_string(runs.get(*id).state);
    }
  });
}

std::string missing_text(const json& run) {
  const json& missing = run.at("data_missing");
  return missing.is_boolean() && missing.get<bool>() ? "no data" : "";
}

Table plan_table(const json& plan, bool precise) {
  Table table({{"experiment"},
               {"run"},
               {"params", true},
               {"active", true},
               {"FLOPs/token", true},
               {"tokens", true},
               {"memory", true},
               {"key"},
               {"state"},
               {"data"},
               {"varies", false, true}});
  for (const json& run : plan.at("runs")) {
    const double total = run.at("total_parameters").get<double>(), active = run.at("active_parameters").get<double>();
    const double flops = run.at("flops_per_token").get<double>();
    const std::string same_as = text_or(run, "same_as");
    const std::string state = same_as.empty() ? text_or(run, "state") : "= " + same_as;
    table.add({text_or(run, "experiment"), Cell(text_or(run, "name"), Tone::strong), precise ? full(total) : millions(total, 3),
               precise ? full(active) : millions(active, 3), precise ? full(flops) : large(flops),
               has_number(run, "tokens") ? (precise ? plain(run.at("tokens")) : large(run.at("tokens").get<double>())) : "",
               has_number(run, "memory_bytes")
                   ? (precise ? plain(run.at("memory_bytes")) : mebibytes(run.at("memory_bytes").get<double>() / (1 << 20)))
                   : "",
               precise ? text_or(run, "key") : text_or(run, "key").substr(0, 8),
               Cell(state, same_as.empty() ? tone_of(state) : Tone::faint), Cell(missing_text(run), Tone::warn),
               Cell(knobs_text(run.at("varied")), Tone::faint)});
  }
  return table;
}

std::string totals_text(const json& totals) {
  std::string text = core::counted(totals.at("runs").get<std::int64_t>(), "run") + ", " + totals.at("distinct").dump() + " to train";
  if (number_or(totals, "tokens", 0) > 0) text += ": " + large(number_or(totals, "tokens", 0)) + " tokens";
  if (number_or(totals, "flops", 0) > 0) text += ", " + large(number_or(totals, "flops", 0)) + "FLOP";
  return text;
}

void print_missing(const core::Plan& plan) {
  std::set<std::string> said;
  for (const core::PlannedRun& run : plan.runs) {
    for (const core::Problem& problem : run.missing) {
      const std::string line = problem.path + ": " + problem.message;
      if (said.insert(line).second) std::cerr << "not there yet: " << line << "\n";
    }
  }
}

int plan(const Submission& submission, bool as_json, bool as_csv) {
  const fs::path home = default_home();
  const core::Plan planned = core::make_plan(plan_request(submission, home / "cache"));
  json plan = core::to_json(planned);
  fill_states(plan, home);
  for (const core::Problem& warning : planned.warnings) {
    std::cerr << submission.file << (warning.line > 0 ? ":" + std::to_string(warning.line) : "") << ": warning: " << warning.path << ": "
              << warning.message << "\n";
  }
  if (as_json) {
    std::cout << plan.dump(2, ' ', false, json::error_handler_t::replace) << "\n";
    return core::kExitDone;
  }
  if (as_csv) {
    std::cout << plan_table(plan, true).csv();
    return core::kExitDone;
  }
  print_missing(planned);
  std::cout << plan_table(plan, false).text(Terminal::of_stdout()) << totals_text(plan.at("totals")) << "\n";
  return core::kExitDone;
}

}  // namespace

void add_plan_verb(Verbs& verbs) {
  struct Options {
    std::shared_ptr<Submission> submission;
    bool as_json = false;
    bool as_csv = false;
  };
  auto options = std::make_shared<Options>();
  CLI::App& verb = verbs.add("plan", "Print every run of a matrix with its size and cost; trains nothing, needs no daemon",
                             "  moelab plan experiments.yaml --profile paper\n"
                             "  moelab plan experiments.yaml --only 'c?_*' -s train.epochs=1 --json",
                             [options] { return plan(*options->submission, options->as_json, options->as_csv); });
  options->submission = add_submission_options(verb);
  auto* json_flag = verb.add_flag("--json", options->as_json, "Full precision and whole configurations as JSON");
  verb.add_flag("--csv", options->as_csv, "Full precision as CSV")->excludes(json_flag);
}

}  // namespace moelab::server::cli
