// Owns experiments and their members: which runs an experiment lists, under which names and in which order. A run may be
// a member of several experiments, and of one experiment under several names. Called by server/run_service and submission.
#pragma once

#include <cstdint>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "core/clock.h"
#include "db/run_store.h"

namespace moelab::db {

using ExperimentId = std::int64_t;

struct ExperimentRow {
  ExperimentId id = 0;
  std::string matrix, name, profile, baseline, notes;
  std::vector<std::string> tags;
  std::string source;
  int max_concurrent = 0;
  core::TimePoint created_at;
  std::string prune = {};  // rule that ends its weaker runs early, as JSON; empty = none
};

struct MemberRow {
  ExperimentId experiment_id = 0;
  std::string experiment;  // its name; ignored by put_member
  std::string name;
  RunId run_id = 0;
  std::string baseline, baseline_key, notes;  // baseline_key: by which the baseline is found wherever it is listed
  std::vector<std::string> tags;
  nlohmann::json varied = nlohmann::json::array();  // [[knob, value], ...]
  std::string family = {};                          // the name without its seed; empty = the name
};

class ExperimentStore {
 public:
  explicit ExperimentStore(Connection& connection) : connection_(connection) {}

  // Finds by (matrix, name, profile) and updates the rest, or inserts. id (0 = the next one) and created_at count for a new one.
  ExperimentId put(const ExperimentRow& experiment);
  ExperimentRow get(ExperimentId id);  // throws Error(not_found)
  std::vector<ExperimentRow> all();    // newest first

  // Adds a member at the end, or points an existing name to `run_id`.
  void put_member(const MemberRow& member);
  // The run stays, listed by one experiment less.
  void drop_member(ExperimentId id, const std::string& name);
  std::optional<MemberRow> member(ExperimentId id, const std::string& name);
  std::vector<MemberRow> members(ExperimentId id);  // in file order
  std::vector<MemberRow> listings(RunId run_id);    // every listing of a run, oldest experiment first
  std::vector<ExperimentId> experiments_of(RunId run_id);
  // Runs of any experiment are measured against this one.
  bool is_baseline_of_others(RunId run_id, const std::string& key);

  // max_concurrent of every experiment that has one.
  std::map<ExperimentId, int> limits();

 private:
  std::int64_t next_position(ExperimentId id);

  Connection& connection_;
  std::map<ExperimentId, std::int64_t> last_position_;  // of the experiments this store has added to: looking it up reads them whole
};

}  // namespace moelab::db
