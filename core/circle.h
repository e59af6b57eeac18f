// Owns finding circles in a graph of runs that wait for each other. Pure. Called by dependency.cpp and plan.cpp.
#pragma once

#include <vector>

namespace moelab::core {

// edges[i] are the nodes that node i waits for, each an index into `edges`. One circle for each knot of nodes that reach each other,
// the shortest through the knot's least node, as the nodes in the order of their edges from that node on: {1, 2} is 1 -> 2 -> 1, {3}
// an edge from 3 to itself. Empty when the nodes can be put in an order. Time O(nodes + edges), and as much again for each knot.
std::vector<std::vector<int>> find_circles(const std::vector<std::vector<int>>& edges);

}  // namespace moelab::core
