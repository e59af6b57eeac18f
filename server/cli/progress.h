// Owns showing how runs get on: bars that redraw in place on a terminal; one line a change of state and every 10% elsewhere.
// Used by wait and run.
#pragma once

#include <map>
#include <nlohmann/json.hpp>
#include <ostream>
#include <string>
#include <utility>
#include <vector>

#include "server/cli/terminal.h"

namespace moelab::server::cli {

class Progress {
 public:
  Progress(Terminal terminal, std::ostream& out) : terminal_(terminal), out_(out) {}
  // Leaves what is on the screen.
  ~Progress();

  // `runs` are Run objects, every run that is watched.
  void show(const std::vector<nlohmann::json>& runs);
  // Stands above the bars from the next show() on.
  void say(std::string line) { said_.push_back(std::move(line)); }

 private:
  struct Seen {
    std::string state;
    int decile = 0;
  };

  std::vector<std::string> news(const std::vector<nlohmann::json>& runs);
  std::string live_line(const nlohmann::json& run) const;
  std::string end_line(const nlohmann::json& run) const;
  std::string plain_line(const nlohmann::json& run) const;
  std::string summary(const std::vector<nlohmann::json>& runs) const;
  std::string bar(double share) const;
  std::string name_of(const nlohmann::json& run) const;

  Terminal terminal_;
  std::ostream& out_;
  std::map<std::int64_t, Seen> seen_;
  std::vector<std::string> said_;
  int name_width_ = 0;
  int drawn_lines_ = 0;  // of the region that is redrawn
};

}  // namespace moelab::server::cli
