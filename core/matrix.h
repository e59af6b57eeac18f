// Owns the typed form of experiments.yaml, read and checked but not yet multiplied out (expansion.h does that).
// README.md of this room describes the grammar. Called by plan.cpp.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "core/error.h"
#include "core/field_map.h"
#include "core/prune_rule.h"

namespace moelab::core {

inline constexpr std::int64_t kMaxRuns = 10'000;  // of one file, before `only`

// Settings in the order they are applied: a later one of the same path wins.
using Layer = std::vector<Assignment>;
using ProfileLayers = std::map<std::string, Layer>;

// Another run, or all runs of an experiment, as the file calls them.
struct Reference {
  std::string name;
  std::string path;  // the key that names it, for messages
  int line = 0;
};

// One way to take at one crossing of the product: a value of an axis, a row of a zip, a variant, a seed.
struct Choice {
  std::string label;  // a variant's name; empty = made from the settings ("capacity_factor=1.5")
  Layer settings;
  ProfileLayers profiles;  // overlays that a variant brings for a profile
  std::string notes;
  std::vector<std::string> tags;
  std::vector<Reference> depends_on;
  int line = 0;
};
using Dimension = std::vector<Choice>;

struct ExperimentDef {
  std::string name;
  int line = 0;
  std::string baseline;
  int baseline_line = 0;
  std::string notes;
  std::vector<std::string> tags;
  int priority = 0;
  int max_concurrent = 0;
  std::vector<Reference> depends_on;  // of each of its runs
  std::optional<PruneRule> prune;
  Layer settings;  // `defaults`, `resources`, `checkpoint` and the scalars of `matrix`
  ProfileLayers profiles;
  std::vector<Dimension> dimensions;  // the first varies slowest: variants, then matrix, zip, sweep and sample
  Dimension seeds;                    // varies fastest; empty = the seed of the settings
  std::vector<Layer> exclude;
  Dimension include;              // further points, each combined with the seeds
  std::vector<Problem> warnings;  // of reading it
};

struct MatrixFile {
  std::string name;
  Layer defaults;          // of the `extends` chain, this file's last
  ProfileLayers profiles;  // likewise
  std::vector<ExperimentDef> experiments;
};

// Reads `text` and the files it extends. Relative paths in a file (data.path, extends, ...) start at that file's directory;
// `base_dir` is the directory of `text`. Problems of `text` are appended to `problems`; Error(config) for YAML that cannot be
// read and for every problem of an `extends` file, Error(data) when such a file is missing.
MatrixFile read_matrix(const std::string& text, const std::string& source_name, const std::filesystem::path& base_dir,
                       std::vector<Problem>& problems);

}  // namespace moelab::core
