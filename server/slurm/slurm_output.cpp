#include "server/slurm/slurm_output.h"

#include <sys/wait.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <sstream>

#include "core/error.h"

namespace moelab::server {
namespace {

// Slurm looks at time limits once a minute at worst, and may be that much early; see --signal in sbatch(1).
constexpr std::chrono::seconds kSlurmResolution{60};

std::string trimmed(std::string_view text) {
  while (!text.empty() && std::isspace(static_cast<unsigned char>(text.front()))) text.remove_prefix(1);
  while (!text.empty() && std::isspace(static_cast<unsigned char>(text.back()))) text.remove_suffix(1);
  return std::string(text);
}

template <class Number>
bool read_number(std::string_view text, Number& number) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc{} && end == text.data() + text.size();
}

// The first `count` - 1 fields end at a bar, the last one at the end of the line.
std::vector<std::string> fields(std::string_view line, std::size_t count) {
  std::vector<std::string> list;
  while (list.size() + 1 < count) {
    const std::size_t bar = line.find('|');
    if (bar == std::string_view::npos) return {};
    list.push_back(trimmed(line.substr(0, bar)));
    line.remove_prefix(bar + 1);
  }
  list.push_back(trimmed(line));
  return list;
}

// "gpu:2", "gpu:a100:4(S:0-1),nic:1", "(null)".
int gpus_in(std::string_view gres) {
  int most = 0;
  while (!gres.empty()) {
    const std::size_t comma = std::min(gres.find(','), gres.size());
    std::string_view item = gres.substr(0, comma);
    gres.remove_prefix(std::min(comma + 1, gres.size()));
    if (!item.starts_with("gpu:")) continue;
    item = item.substr(0, item.find('('));
    int count = 0;
    if (read_number(item.substr(item.rfind(':') + 1), count)) most = std::max(most, count);
  }
  return most;
}

std::string job_text(const SlurmJob& job) {
  return "Slurm job " + std::to_string(job.id);
}

// "0:15" is exit code 0 and signal 15.
int status_of(std::string_view code_and_signal) {
  const std::size_t colon = code_and_signal.find(':');
  int code = 0, signal = 0;
  if (colon == std::string_view::npos || !read_number(code_and_signal.substr(0, colon), code) ||
      !read_number(code_and_signal.substr(colon + 1), signal)) {
    return 0;
  }
  return signal > 0 ? signal : code << 8;
}

bool is_one_of(const std::string& state, std::initializer_list<const char*> states) {
  return std::any_of(states.begin(), states.end(), [&](const char* s) { return state == s; });
}

}  // namespace

std::vector<SlurmJob> parse_squeue(const std::string& text) {
  constexpr std::size_t kId = 0, kState = 1, kStatus = 2, kRan = 3, kLimit = 4, kReason = 5, kName = 6, kWorkDir = 7, kCount = 8;
  std::vector<SlurmJob> jobs;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    const std::vector<std::string> field = fields(line, kCount);
    SlurmJob job;
    if (field.empty() || !read_number(field[kId], job.id)) continue;
    read_number(field[kStatus], job.status);
    job.state = field[kState];
    job.reason = field[kReason];
    job.name = field[kName];
    job.work_dir = field[kWorkDir];
    if (job.work_dir.ends_with('|')) job.work_dir = trimmed(std::string_view(job.work_dir).substr(0, job.work_dir.size() - 1));
    job.ran = parse_slurm_time(field[kRan]);
    job.limit = parse_slurm_time(field[kLimit]);
    jobs.push_back(std::move(job));
  }
  return jobs;
}

std::vector<SlurmJob> parse_sacct(const std::string& text) {
  constexpr std::size_t kId = 0, kState = 1, kStatus = 2, kName = 3, kCount = 4;
  std::vector<SlurmJob> jobs;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    const std::vector<std::string> field = fields(line, kCount);
    SlurmJob job;
    if (field.empty() || !read_number(field[kId], job.id)) continue;
    job.state = field[kState].substr(0, field[kState].find(' '));  // "CANCELLED by 1000"
    job.status = status_of(field[kStatus]);
    job.name = field[kName];
    jobs.push_back(std::move(job));
  }
  return jobs;
}

std::vector<SlurmPartition> parse_sinfo(const std::string& text) {
  constexpr std::size_t kName = 0, kUp = 1, kTime = 2, kGres = 3, kCpus = 4, kCount = 5;
  std::vector<SlurmPartition> partitions;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    std::vector<std::string> field = fields(line, kCount);
    if (field.empty() || field[kName].empty()) continue;
    const bool is_default = field[kName].back() == '*';
    if (is_default) field[kName].pop_back();
    auto found = std::find_if(partitions.begin(), partitions.end(), [&](const SlurmPartition& p) { return p.name == field[kName]; });
    if (found == partitions.end()) {
      partitions.push_back({field[kName], is_default, field[kUp] == "up", parse_slurm_time(field[kTime]), 0, 0});
      found = std::prev(partitions.end());
    }
    found->gpus = std::max(found->gpus, gpus_in(field[kGres]));
    int cpus = 0;
    if (field[kCpus].ends_with('+')) field[kCpus].pop_back();  // "32+": some have more
    if (read_number(field[kCpus], cpus)) found->cpus = std::max(found->cpus, cpus);
  }
  return partitions;
}

std::optional<std::chrono::seconds> parse_slurm_time(std::string_view text) {
  std::int64_t days = 0;
  if (const std::size_t dash = text.find('-'); dash != std::string_view::npos) {
    if (!read_number(text.substr(0, dash), days)) return std::nullopt;
    text.remove_prefix(dash + 1);
  }
  std::int64_t seconds = 0;
  for (int parts = 1;; ++parts) {
    const std::size_t colon = std::min(text.find(':'), text.size());
    std::int64_t part = 0;
    if (!read_number(text.substr(0, colon), part)) return std::nullopt;
    seconds = seconds * 60 + part;
    if (colon == text.size()) return parts < 2 ? std::nullopt : std::optional(std::chrono::seconds(days * 86'400 + seconds));
    text.remove_prefix(colon + 1);
  }
}

bool is_held(const SlurmJob& job) {
  return job.state == "PENDING" && job.reason == "JobHeldUser";
}

bool is_pending(const SlurmJob& job) {
  return is_one_of(job.state, {"PENDING", "REQUEUED", "REQUEUE_FED", "REQUEUE_HOLD", "SPECIAL_EXIT"});
}

bool is_over(const SlurmJob& job) {
  return is_one_of(job.state, {"COMPLETED", "FAILED", "CANCELLED", "TIMEOUT", "OUT_OF_MEMORY", "NODE_FAIL", "BOOT_FAIL", "PREEMPTED",
                               "DEADLINE", "REVOKED"});
}

Exit exit_of(const SlurmJob& job, std::chrono::seconds warning) {
  Exit exit;
  if (WIFEXITED(job.status)) {
    exit.code = WEXITSTATUS(job.status);
  } else if (WIFSIGNALED(job.status) && job.status <= 0xff) {
    exit.signal = WTERMSIG(job.status);
  }
  if (job.state == "OUT_OF_MEMORY") {
    exit.oom_killed = true;
    exit.note = job_text(job) + " used more memory than it was given: raise resources.memory_gb";
  } else if (job.state == "TIMEOUT" || job.state == "DEADLINE") {
    exit.note = job_text(job) + " came to its time limit";
  } else if (is_one_of(job.state, {"NODE_FAIL", "BOOT_FAIL", "PREEMPTED", "REVOKED"})) {
    exit.not_its_fault = true;
    const std::string what = job.state == "PREEMPTED" ? " was preempted by another" : " was lost with its node";
    exit.note = job_text(job) + what + " (" + job.state + ")";
  } else if (job.state == "CANCELLED") {
    exit.cancelled = true;
    exit.note = job_text(job) + " was cancelled by somebody else";
  } else if (!exit.code && !exit.signal) {
    // A status that no process leaves is an error number of Slurm's own.
    exit.note = job_text(job) + " could not be started (" + job.reason + ", Slurm's error " + std::to_string(job.status) + ")";
  } else if (exit.code == core::kExitPreempted && job.ran && job.limit && *job.limit - *job.ran <= warning + kSlurmResolution) {
    exit.note = job_text(job) + " came near its time limit";
  }
  return exit;
}

}  // namespace moelab::server
