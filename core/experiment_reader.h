// Owns reading one entry of `experiments`: its variants, axes, seeds, exclusions. Called by matrix.cpp.
#pragma once

#include <string>
#include <vector>

#include "core/layer_reader.h"
#include "core/matrix.h"

namespace moelab::core {

// Problems go to `problems`; the result then holds what could be read.
ExperimentDef read_experiment(const Node& node, const LayerReader& layers, const std::vector<std::string>& profile_names,
                              std::vector<Problem>& problems);

// {NAME: {knobs}, ...}, where each NAME must be one of `profile_names` unless that is empty.
ProfileLayers read_profiles(const Node* node, const std::string& prefix, const LayerReader& layers,
                            const std::vector<std::string>& profile_names, std::vector<Problem>& problems);

// A name that is safe in a glob, a URL and a table: letters, digits and _ . = , + @ -. Reports and returns false otherwise.
bool check_name(const std::string& name, const std::string& path, int line, std::vector<Problem>& problems);

}  // namespace moelab::core
