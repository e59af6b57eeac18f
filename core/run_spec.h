// Owns one planned run: what core hands to db, server and worker. Serialised as runs/<id>/run.json.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "core/config.h"

namespace moelab::core {

struct RunSpec {
  std::string matrix;        // `name` of the YAML file
  std::string experiment;    // name of the experiment in it
  std::string name;          // unique within the experiment, e.g. a1_lb_penalty or cf=1.5,seed=2
  std::string family;        // the name without its seed: runs of one family differ in the seed only
  std::string baseline;      // name of the run that deltas are reported against, of the same seed; empty = none. Its own name for the
                             // baseline itself; may be a run of another experiment
  std::string baseline_key;  // key of that run, by which it is found wherever it is listed; empty = none
  std::string key;           // 64 hex digits, see run_key.h
  std::vector<std::string> depends_on;  // keys of runs that must have completed before, beside the one whose weights it starts from
  std::string notes;
  std::vector<std::string> tags;
  int priority = 0;        // larger runs sooner
  int max_concurrent = 0;  // of its experiment; 0 = no limit
  RunConfig config;        // paths made absolute
};

nlohmann::json to_json(const RunSpec& spec);
RunSpec run_spec_from_json(const nlohmann::json& json, const std::string& source);

}  // namespace moelab::core
