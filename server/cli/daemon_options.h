// Owns the options that serve and run share: home, CPU slots, where webhooks may go. Used by those two commands.
#pragma once

#include <CLI/CLI.hpp>

#include <memory>
#include <string>

#include "server/app.h"
#include "server/structured_log.h"

namespace moelab::server::cli {

struct DaemonOptions {
  std::string home;
  int cpu_slots = 0;
  bool unpinned = false;
  bool webhook_private = false;
  int max_concurrent = 0;
  AppOptions app() const;
};

std::shared_ptr<DaemonOptions> add_daemon_options(CLI::App& verb);

// Log lines of this process go to stderr from `level` on ("info", "warn").
void log_to_stderr(const std::string& level, LogFormat format = LogFormat::text);

}  // namespace moelab::server::cli
