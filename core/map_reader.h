// Owns reading a map with a fixed set of keys: typed look-ups that report what does not fit, and unknown keys at the end.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "core/error.h"
#include "core/node.h"

namespace moelab::core {

class MapReader {
 public:
  // `prefix` goes before the keys in problems: "a_load_balance." or "". A node that is no map is reported once.
  MapReader(const Node& node, std::string prefix, std::vector<Problem>& problems);

  // Each look-up makes its key a known one. Null counts as absent.
  const Node* find(const std::string& key);
  std::string text(const std::string& key);
  std::optional<int> integer(const std::string& key, int min, int max);
  std::vector<std::string> texts(const std::string& key);
  int line_of(const std::string& key) const;

  void report(const std::string& key, const std::string& message);
  // Keys never asked for, each with the nearest known one.
  void report_unknown();
  // Those entries as a map of their own: the knobs beside the reserved keys of a variant.
  Node rest() const;

 private:
  bool is_known(const std::string& key) const;

  const Node& node_;
  std::string prefix_;
  std::vector<Problem>& problems_;
  std::vector<std::string> known_;
};

}  // namespace moelab::core
