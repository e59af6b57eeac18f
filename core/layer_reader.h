// Owns reading maps of knobs in a matrix file into checked settings. Called by the readers of matrix files and of overrides.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "core/matrix.h"

namespace moelab::core {

class LayerReader {
 public:
  // Values of fields that name files are made absolute from `base_dir`. `file` is noted in each Assignment; empty = the main file.
  LayerReader(std::filesystem::path base_dir, std::string file, std::vector<Problem>& problems);

  // Settings with one value each; `where` names the map in problems. Those that do not fit their field are reported and left out.
  Layer read(const Node& map, const std::string& where) const;
  // Knobs that may hold a list of values, as under `matrix`: not checked.
  Layer read_unchecked(const Node& map, const std::string& where) const;
  // False, with a problem reported, when the value does not fit. Makes file names absolute.
  bool check(Assignment& assignment) const;

 private:
  std::filesystem::path base_dir_;
  std::string file_;
  std::vector<Problem>& problems_;
};

}  // namespace moelab::core
