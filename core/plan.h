// Owns the plan: a source text in, every run it asks for out, each resolved, checked, priced and keyed. No effects but reading
// `extends` files and hashing data. Called by `moelab plan`, by POST /experiments and by tests.
#pragma once

#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "core/cost_model.h"
#include "core/error.h"
#include "core/lr_sweep.h"
#include "core/prune_rule.h"
#include "core/run_spec.h"

namespace moelab::core {

struct PlanRequest {
  std::string source_text;             // the YAML
  std::string source_name;             // how messages call it, e.g. experiments.yaml
  std::filesystem::path base_dir;      // absolute; relative paths in the file start here
  std::string profile;                 // empty = none
  std::vector<std::string> only;       // globs (* ?) on experiment, run or "experiment/run" names; empty = all
  std::vector<std::string> overrides;  // "train.lr=1e-4", applied last
  // The same for single runs, applied after `overrides`. By EXPERIMENT/RUN; a run's name without its seed means every seed.
  std::map<std::string, std::vector<std::string>> run_overrides = {};
  // Plans a learning-rate sweep of the selected runs in their place.
  std::optional<LrSweep> lr_sweep = {};
  std::filesystem::path cache_dir;     // for content hashes of data files; empty = hash afresh
};

struct PlannedRun {
  RunSpec spec;  // spec.config has absolute paths and, for a dense model, its MoE knobs at their off values
  Cost cost;
  std::vector<std::string> waits_for;  // EXPERIMENT/RUN of every run that must have completed before
  // Settings of the run that its experiment varies, by dotted path.
  nlohmann::json varied = nlohmann::json::object();
  // data.*, train.init_from: named but not there. Such a run can be planned, not submitted; its key holds the name of the
  // missing path instead of a content hash, so it changes when the data arrives.
  std::vector<Problem> missing;
  bool data_missing() const { return !missing.empty(); }
  // "experiment/name" of the first run of this plan with the same key; empty when this is the first. Such runs train once.
  std::string same_as;
};

struct PlannedExperiment {
  std::string name;
  std::string baseline;  // run name; may belong to another experiment
  std::string notes;
  std::vector<std::string> tags;
  int priority = 0;
  int max_concurrent = 0;
  std::optional<PruneRule> prune = {};
};

struct Plan {
  std::string matrix;  // `name` of the file
  std::string profile;
  std::vector<PlannedExperiment> experiments;  // those with at least one run, in file order
  std::vector<PlannedRun> runs;                // in file order, duplicates by key included (see same_as)
  std::vector<Problem> warnings;
};

// Throws Error(config) with every problem of the file, Error(usage) for an unknown profile, an `only` or a run override that
// matches nothing, a malformed override or sweep, Error(data) when an `extends` file cannot be read.
Plan make_plan(const PlanRequest& request);

// Throws Error(data) naming each missing path and the remedy, once for all runs. Called before anything is queued.
void require_data(const Plan& plan, const std::string& source_name);

// {"matrix", "profile", "runs": [{"name", "family", "experiment", "key", "state": "planned", "same_as", "data_missing", "total_parameters",
//  "active_parameters", "flops_per_token", "tokens", "memory_bytes", "baseline", "depends_on", "tags", "notes", "varied", "config"}],
//  "totals": {"runs", "distinct", "tokens", "flops"}, "warnings": [{"path", "line", "message"}]}
nlohmann::json to_json(const Plan& plan);

}  // namespace moelab::core
