#include "server/cli/daemon_options.h"

#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>

#include <filesystem>

#include "server/cli/checks.h"

namespace moelab::server::cli {

AppOptions DaemonOptions::app() const {
  AppOptions options;
  options.home = home.empty() ? default_home() : std::filesystem::absolute(home).lexically_normal();
  options.cpu_slots = cpu_slots;
  options.pin_cpus = !unpinned;
  options.webhook_private = webhook_private;
  options.max_concurrent = max_concurrent;
  options.min_free_bytes = min_free_bytes;
  options.quota_bytes = quota_bytes;
  options.slurm = slurm;
  options.slurm.by_default = launcher == "slurm";
  if (slurm_minutes > 0) options.slurm.most_time = std::chrono::minutes(slurm_minutes);
  options.slurm.interval = std::chrono::milliseconds(static_cast<std::int64_t>(slurm_poll_s * 1000));
  return options;
}

std::shared_ptr<DaemonOptions> add_daemon_options(CLI::App& verb) {
  auto options = std::make_shared<DaemonOptions>();
  verb.add_option("--home", options->home, "Home directory; default MOELAB_HOME, else ~/.moelab");
  verb.add_option("--cpu-slots", options->cpu_slots, "Runs that may train at once on the CPU; default min(4, cores)")
      ->check(whole_number(1, 1024));
  verb.add_flag("--no-pin", options->unpinned, "Let runs on the CPU use any core; default: each slot has cores of its own");
  verb.add_flag("--webhook-private", options->webhook_private, "Webhooks may call private, loopback and link-local addresses");
  verb.add_option("--max-concurrent", options->max_concurrent, "Most runs at once on this server; default as many as there are devices")
      ->check(whole_number(1, 100'000));
  verb.add_option("--min-free", options->min_free_bytes,
                  "Start no run while less is free on the home's disk, such as 5GB; 0 = start always; default 2GB, or 5 % of a small disk")
      ->transform(size_in_bytes());
  verb.add_option("--quota", options->quota_bytes, "Once an hour, `moelab gc --quota` this much, such as 500GB")->transform(size_in_bytes());
  verb.add_option("--launcher", options->launcher, "Where runs of resources.launcher auto train: as processes here, or as Slurm jobs")
      ->check(one_of({"process", "slurm"}))
      ->capture_default_str();
  verb.add_option("--slurm-jobs", options->slurm.jobs, "Most Slurm jobs at once; 0 = never use Slurm")
      ->check(whole_number(0, 10'000))
      ->capture_default_str();
  verb.add_option("--slurm-time", options->slurm_minutes,
                  "Most minutes of one Slurm job; a run that needs longer goes on in the next from its checkpoint. Default: as the partition allows")
      ->check(whole_number(1, 525'600));
  verb.add_option("--slurm-option", options->slurm.options, "A further option of sbatch for every job, e.g. --slurm-option=--constraint=a100")
      ->allow_extra_args(false);
  verb.add_option("--slurm-poll", options->slurm_poll_s, "Seconds between two questions to Slurm, each about all jobs at once")
      ->check(CLI::Range(0.1, 3600.0))
      ->capture_default_str();
  return options;
}

void log_to_stderr(const std::string& level, LogFormat format) {
  spdlog::set_default_logger(spdlog::stderr_color_mt("moelab"));
  spdlog::set_formatter(make_log_formatter(format));
  spdlog::set_level(spdlog::level::from_str(level));
}

}  // namespace moelab::server::cli
