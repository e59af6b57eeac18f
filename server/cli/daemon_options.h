// Owns the options that serve and run share: home, CPU slots, disk, Slurm, where webhooks may go. Used by those two commands.
#pragma once

#include <CLI/CLI.hpp>

#include <cstdint>
#include <memory>
#include <optional>
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
  std::optional<std::uint64_t> min_free_bytes, quota_bytes;
  std::string launcher = "process";
  SlurmSettings slurm;
  int slurm_minutes = 0;
  double slurm_poll_s = 2;
  AppOptions app() const;
};

std::shared_ptr<DaemonOptions> add_daemon_options(CLI::App& verb);

// Log lines of this process go to stderr from `level` on ("info", "warn").
void log_to_stderr(const std::string& level, LogFormat format = LogFormat::text);

}  // namespace moelab::server::cli
