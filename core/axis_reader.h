// Owns the axes of an experiment: `matrix`, `zip`, `sweep` and `seeds`, each into dimensions of choices.
// Called by experiment_reader.cpp.
#pragma once

#include <vector>

#include "core/layer_reader.h"
#include "core/matrix.h"

namespace moelab::core {

class AxisReader {
 public:
  AxisReader(const LayerReader& layers, std::vector<Problem>& problems) : layers_(layers), problems_(problems) {}

  // A scalar or {value: X} is a constant and goes to the settings; a list is an axis, in file order.
  void read_matrix(const Node* node, ExperimentDef& experiment) const;
  // Lists of one length that advance together: one dimension.
  void read_zip(const Node* node, ExperimentDef& experiment) const;
  // {knob: {linear: [first, last], count: n}} or {log: ...}: n values evenly (or in equal ratios) from first to last. Inner ones
  // are rounded to 6 significant digits, to whole numbers for integer knobs: the same everywhere, and readable in names.
  void read_sweep(const Node* node, ExperimentDef& experiment) const;
  void read_seeds(const Node* node, ExperimentDef& experiment) const;

 private:
  bool is_map(const Node& node, const ExperimentDef& experiment, const char* key) const;
  // The choices for one path; values that do not fit are reported and left out.
  Dimension choices(const Assignment& axis, const std::vector<Node>& values) const;
  std::vector<Node> sweep_values(const Assignment& axis) const;

  const LayerReader& layers_;
  std::vector<Problem>& problems_;
};

}  // namespace moelab::core
