// Owns waiting for a set of runs over REST. Used by wait and run.
#pragma once

#include <cstdint>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "server/cli/client.h"

namespace moelab::server::cli {

class Watch {
 public:
  // `runs` are Run objects; a run that is given twice counts once.
  Watch(const Client& client, const std::vector<nlohmann::json>& runs);

  // Asks the daemon for what is not over yet.
  void refresh();
  bool done() const;
  // Which runs are paused and how they go on; "" when none is.
  std::string paused() const;
  // In the order given.
  std::vector<nlohmann::json> runs() const;
  // kExitDone when every run completed, else kExitRunFailed.
  int exit_code() const;

 private:
  const Client& client_;
  std::vector<std::int64_t> order_;
  std::map<std::int64_t, nlohmann::json> runs_;
};

// Refreshes until all is over (true) or Ctrl-C (false); with `show_progress` progress.h draws on stdout meanwhile. Once
// it says which runs are paused, for they may stay so for ever.
bool watch_until_done(Watch& watch, bool show_progress);

}  // namespace moelab::server::cli
