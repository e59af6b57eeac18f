#include "server/slurm/slurm_client.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <string_view>

#include "core/error.h"

namespace moelab::server {
namespace {

// Of Slurm 22.05 to 24.05; compared in lower case.
constexpr std::array<std::string_view, 11> kSilence{"unable to contact slurm controller",
                                                    "socket timed out",
                                                    "connection refused",
                                                    "connection timed out",
                                                    "communication connection failure",
                                                    "zero bytes were transmitted",
                                                    "munge",
                                                    "authentication",
                                                    "could not establish a configuration source",
                                                    "temporarily",
                                                    "maxsubmitjob"};  // the user has too many jobs queued for now
constexpr std::array<std::string_view, 12> kRefusals{"invalid partition",
                                                     "invalid account",
                                                     "invalid qos",
                                                     "invalid generic resource",
                                                     "requested node configuration is not available",
                                                     "time limit is invalid",
                                                     "node count specification invalid",
                                                     "permission denied",
                                                     "not permitted",
                                                     "can not be satisfied",
                                                     "unrecognized option",
                                                     "violates accounting/qos policy"};

std::string lower(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return text;
}

template <std::size_t n>
bool says_one_of(const std::string& text, const std::array<std::string_view, n>& signs) {
  return std::any_of(signs.begin(), signs.end(), [&](std::string_view sign) { return text.find(sign) != std::string::npos; });
}

// The last thing it said, which is the error; on one line.
std::string last_words(std::string text) {
  while (!text.empty() && text.back() == '\n') text.pop_back();
  std::replace(text.begin(), text.end(), '\n', ' ');
  return text.empty() ? "it gave no reason" : text;
}

bool is_noise(std::string_view name) {
  if (name == "MOELAB_TOKEN" || name == "CUDA_VISIBLE_DEVICES") return true;
  if (name == "SLURM_CONF" || name == "SLURM_JWT") return false;
  constexpr std::array<std::string_view, 6> kPrefixes{"SLURM_", "SBATCH_", "SQUEUE_", "SACCT_", "SINFO_", "SCANCEL_"};
  return std::any_of(kPrefixes.begin(), kPrefixes.end(), [&](std::string_view prefix) { return name.starts_with(prefix); });
}

std::string joined(const std::vector<std::int64_t>& numbers) {
  std::string text;
  for (const std::int64_t number : numbers) text += (text.empty() ? "" : ",") + std::to_string(number);
  return text;
}

}  // namespace

std::vector<std::string> slurm_environment() {
  std::vector<std::string> environment;
  for (char** entry = environ; *entry; ++entry) {
    const std::string_view text(*entry);
    if (!is_noise(text.substr(0, text.find('=')))) environment.emplace_back(text);
  }
  return environment;
}

SlurmClient::SlurmClient(SlurmRunner run) : run_(std::move(run)) {
  if (!run_) {
    run_ = [](const std::vector<std::string>& arguments, const std::vector<std::string>& environment) {
      return run_command(arguments, environment, kSlurmPatience);
    };
  }
}

std::string SlurmClient::why_not_installed() {
  for (const char* program : {"sbatch", "squeue", "scancel", "scontrol", "sinfo", "sacct"}) {
    if (!find_program(program)) return std::string(program) + " is not in the PATH of the daemon";
  }
  return "";
}

std::string SlurmClient::answer(const std::vector<std::string>& arguments, const std::vector<std::string>& environment) const {
  const CommandResult result = run_(arguments, environment);
  if (result.timed_out) {
    throw core::Error(core::ErrorKind::unreachable,
                      arguments[0] + " did not end within " + std::to_string(kSlurmPatience.count()) + " s: " + last_words(result.errors));
  }
  if (result.exit_code == 0) return result.output;
  const std::string said = lower(result.errors + result.output);
  const core::ErrorKind kind = says_one_of(said, kSilence)    ? core::ErrorKind::unreachable
                               : says_one_of(said, kRefusals) ? core::ErrorKind::config
                                                              : core::ErrorKind::storage;
  throw core::Error(kind, arguments[0] + ": " + last_words(result.errors.empty() ? result.output : result.errors));
}

std::string SlurmClient::ask(const std::vector<std::string>& arguments) const {
  return answer(arguments, slurm_environment());
}

std::string SlurmClient::cluster() const {
  const std::string config = ask({"scontrol", "show", "config"});
  const std::string_view key = "ClusterName";
  const std::size_t at = config.find(key);
  const std::size_t equals = at == std::string::npos ? at : config.find('=', at);
  if (equals == std::string::npos) throw core::Error(core::ErrorKind::storage, "scontrol show config names no cluster");
  const std::string line = config.substr(equals + 1, config.find('\n', equals) - equals - 1);
  const std::size_t first = line.find_first_not_of(' '), last = line.find_last_not_of(' ');
  return first == std::string::npos ? "" : line.substr(first, last - first + 1);
}

std::vector<SlurmPartition> SlurmClient::partitions() const {
  return parse_sinfo(ask({"sinfo", "--noheader", std::string("--format=") + kSinfoFormat}));
}

std::vector<SlurmJob> SlurmClient::jobs() const {
  return parse_squeue(ask({"squeue", "--me", "--states=all", "--noheader", std::string("--Format=") + kSqueueFormat}));
}

std::vector<SlurmJob> SlurmClient::accounted(const std::vector<std::int64_t>& jobs) const {
  const CommandResult result = run_({"sacct", "--allocations", "--noheader", "--parsable2", std::string("--format=") + kSacctFormat,
                                     "--jobs=" + joined(jobs)},
                                    slurm_environment());
  if (result.exit_code == 0) return parse_sacct(result.output);
  if (result.errors.find("accounting storage is disabled") != std::string::npos) return {};
  throw core::Error(core::ErrorKind::unreachable, "sacct: " + last_words(result.errors));
}

std::int64_t SlurmClient::submit(const std::vector<std::string>& arguments, const std::vector<std::string>& environment) const {
  std::vector<std::string> all{"sbatch", "--parsable"};
  all.insert(all.end(), arguments.begin(), arguments.end());
  const std::string text = answer(all, environment);  // "12" or "12;cluster"
  std::int64_t job = 0;
  std::from_chars(text.data(), text.data() + text.size(), job);
  if (job <= 0) throw core::Error(core::ErrorKind::storage, "sbatch gave no job number: " + last_words(text));
  return job;
}

void SlurmClient::release(std::int64_t job) const {
  ask({"scontrol", "release", std::to_string(job)});
}
void SlurmClient::signal_batch(std::int64_t job, const std::string& signal) const {
  ask({"scancel", "--batch", "--signal=" + signal, std::to_string(job)});
}
void SlurmClient::cancel_if_pending(std::int64_t job) const {
  ask({"scancel", "--state=PENDING", std::to_string(job)});
}
void SlurmClient::cancel(std::int64_t job) const {
  ask({"scancel", std::to_string(job)});
}

}  // namespace moelab::server
