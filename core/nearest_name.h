// Owns "did you mean": the known name nearest to a misspelt one. Called wherever a message names an unknown key or value.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace moelab::core {

// Optimal string alignment distance: insertions, deletions, substitutions and swaps of neighbours, each 1.
std::size_t edit_distance(std::string_view a, std::string_view b);

// The nearest of `known`, or "" when none is near enough to be a likely slip (a third of the longer name).
// A beginning of three letters or more counts as one slip.
std::string nearest_name(std::string_view name, const std::vector<std::string>& known);

// " (did you mean 'x'?)", or "" when nothing is near.
std::string did_you_mean(std::string_view name, const std::vector<std::string>& known);

}  // namespace moelab::core
