// Owns maps of knobs as people write them, nested or dotted or mixed: {moe: {lb_coeff: 0.01}, train.lr: 1e-4}. Flattens them
// to assignments of dotted paths and names unknown keys. Called for `defaults`, profiles, variants, JSON bodies and overrides.
#pragma once

#include <string>
#include <vector>

#include "core/error.h"
#include "core/node.h"

namespace moelab::core {

struct Assignment {
  std::string path;  // a field of config.h
  Node value;
  int line = 0;          // of the key
  std::string file;      // that holds it; empty = the main file or no file
  bool literal = false;  // was written {value: X}: a list is one value, not an axis
};

// Unknown keys, a group that is no map and keys given twice go to `problems`; everything else is returned in file order.
// Values are not typed yet. `where` names the map in case it is none. `{value: X}` stands for X.
std::vector<Assignment> read_field_map(const Node& map, const std::string& where, std::vector<Problem>& problems);

// The full path that a key may abbreviate or misspell, for messages: " (did you mean 'moe.lb_coeff'?)" or "".
std::string did_you_mean_field(const std::string& path);

}  // namespace moelab::core
