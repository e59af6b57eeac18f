// Owns `sample` of an experiment: rows drawn at random, as one dimension. Called by experiment_reader.cpp.
#pragma once

#include <vector>

#include "core/layer_reader.h"
#include "core/matrix.h"

namespace moelab::core {

// {count: n, seed: s, KNOB: {KIND: ...}, ...} with KIND one of
//   uniform: [low, high]      evenly between; knobs that take fractions
//   log_uniform: [low, high]  evenly in the logarithm, low > 0; rounded to a whole number for a knob that takes only those
//   int_uniform: [low, high]  whole numbers, both ends included
//   choice: [values]          any of the values
// Row i holds draw i of each knob. Every knob has a stream of its own (random_stream.h): another knob changes no draw, a larger count
// only adds rows, and the same seed gives the same rows everywhere. Numbers have 6 significant digits, as those of a sweep. A row that
// repeats an earlier one is left out, with a warning in `experiment.warnings`. Problems go to `problems`.
void read_sample(const Node* node, const LayerReader& layers, ExperimentDef& experiment, std::vector<Problem>& problems);

}  // namespace moelab::core
