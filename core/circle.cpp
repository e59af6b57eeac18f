#include "core/circle.h"

#include <algorithm>
#include <cstddef>

namespace moelab::core {
namespace {

class CircleFinder {
 public:
  explicit CircleFinder(const std::vector<std::vector<int>>& edges) : edges_(edges), back_(edges.size()), open_(edges.size(), true) {
    for (std::size_t from = 0; from < edges.size(); ++from) {
      for (const int to : edges[from]) back_[at(to)].push_back(static_cast<int>(from));
    }
  }

  std::vector<std::vector<int>> find() {
    close_those_in_order();
    std::vector<std::vector<int>> circles;
    for (std::size_t start = 0; start < edges_.size(); ++start) {
      if (!open_[start]) continue;
      const std::vector<int> came_from = search(static_cast<int>(start), edges_);
      if (came_from[start] != kUnseen) circles.push_back(path_back_to(static_cast<int>(start), came_from));
      close_knot(static_cast<int>(start), came_from);
    }
    return circles;
  }

 private:
  static constexpr int kUnseen = -1;
  static std::size_t at(int node) { return static_cast<std::size_t>(node); }

  // A node that waits for no open node is part of no circle (Kahn 1962).
  void close_those_in_order() {
    std::vector<std::size_t> waiting(edges_.size());
    std::vector<int> ready;
    for (std::size_t i = 0; i < edges_.size(); ++i) {
      waiting[i] = edges_[i].size();
      if (waiting[i] == 0) ready.push_back(static_cast<int>(i));
    }
    while (!ready.empty()) {
      const int node = ready.back();
      ready.pop_back();
      open_[at(node)] = false;
      for (const int other : back_[at(node)]) {
        if (--waiting[at(other)] == 0) ready.push_back(other);
      }
    }
  }

  // Breadth first from `start` over open nodes: per node the one it was reached from. `start` counts as reached once an edge leads back.
  std::vector<int> search(int start, const std::vector<std::vector<int>>& edges) const {
    std::vector<int> came_from(edges.size(), kUnseen);
    std::vector<int> line{start};
    for (std::size_t i = 0; i < line.size(); ++i) {
      for (const int next : edges[at(line[i])]) {
        if (!open_[at(next)] || came_from[at(next)] != kUnseen) continue;
        came_from[at(next)] = line[i];
        if (next != start) line.push_back(next);
      }
    }
    return came_from;
  }

  static std::vector<int> path_back_to(int start, const std::vector<int>& came_from) {
    std::vector<int> path;
    for (int node = came_from[at(start)]; node != start; node = came_from[at(node)]) path.push_back(node);
    path.push_back(start);
    std::reverse(path.begin(), path.end());
    return path;
  }

  void close_knot(int start, const std::vector<int>& reached) {
    const std::vector<int> reaching = search(start, back_);
    for (std::size_t i = 0; i < edges_.size(); ++i) {
      if (reached[i] != kUnseen && reaching[i] != kUnseen) open_[i] = false;
    }
    open_[at(start)] = false;
  }

  const std::vector<std::vector<int>>& edges_;
  std::vector<std::vector<int>> back_;
  std::vector<bool> open_;
};

}  // namespace

std::vector<std::vector<int>> find_circles(const std::vector<std::vector<int>>& edges) {
  return CircleFinder(edges).find();
}

}  // namespace moelab::core
