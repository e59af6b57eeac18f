// Owns a stand-in for a cluster, behind the same command lines and output formats as the real one (tests/e2e/test_slurm.py has that):
// to turn its jobs and failures by hand. Its answers are those recorded in slurm_recorded/.
#pragma once

#include <algorithm>
#include <functional>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "server/slurm/slurm_client.h"

namespace moelab::test {

class FakeSlurm {
 public:
  struct Job {
    std::string state = "PENDING", reason = "JobHeldUser", name, work_dir;
    int status = 0;
    bool forgotten = false;             // by squeue
    std::vector<std::string> signals;  // that its batch script got
    std::vector<std::string> arguments, environment;
  };
  std::map<std::int64_t, Job> jobs;
  std::map<std::string, int> asked;  // how often each command was run
  bool down = false;                 // the controller does not answer
  bool loses_answers = false;        // sbatch makes the job, and its answer is lost
  std::function<void()> while_asked;  // happens once, between squeue's look and its answer
  bool has_accounting = true;
  std::string accounting_trouble;    // sacct's error
  std::string refusal;               // sbatch's error
  std::string cluster = "lab";
  std::string partitions = "main*|up|infinite|gpu:2|4\nurgent|up|10:00|(null)|4\n";
  std::int64_t next_number = 100;

  server::SlurmClient client() {
    return server::SlurmClient([this](const std::vector<std::string>& arguments, const std::vector<std::string>& environment) {
      return run(arguments, environment);
    });
  }
  // A running job that was submitted by somebody else.
  void add(std::int64_t number, const std::string& name, const std::string& work_dir) {
    jobs[number].name = name;
    jobs[number].work_dir = work_dir;
    start(number);
  }
  void start(std::int64_t number) { set(number, "RUNNING", "None"); }
  void finish(std::int64_t number, const std::string& state, int status) {
    set(number, state, "None");
    jobs.at(number).status = status;
  }

 private:
  void set(std::int64_t number, const std::string& state, const std::string& reason) {
    jobs.at(number).state = state;
    jobs.at(number).reason = reason;
  }

  server::CommandResult run(const std::vector<std::string>& arguments, const std::vector<std::string>& environment) {
    const std::string& command = arguments[0];
    ++asked[command];
    if (down) return failed(command + ": error: Unable to contact slurm controller (connect failure)");
    if (command == "sbatch") return sbatch(arguments, environment);
    if (command == "squeue") return said(squeue(arguments));
    if (command == "sacct") return sacct(arguments.back());
    if (command == "sinfo") return said(partitions);
    if (command == "scontrol" && arguments[1] == "show") return said("AuthType = auth/munge\nClusterName             = " + cluster + "\n");
    const auto found = jobs.find(std::stoll(arguments.back()));
    if (found == jobs.end()) return failed("Invalid job id specified");
    return command == "scontrol" ? release(found->second) : scancel(arguments, found->second);
  }

  static server::CommandResult said(const std::string& text) { return {0, false, text, ""}; }
  static server::CommandResult failed(const std::string& text) { return {1, false, "", text + "\n"}; }

  server::CommandResult sbatch(const std::vector<std::string>& arguments, const std::vector<std::string>& environment) {
    if (!refusal.empty()) return failed(refusal);
    Job job;
    const auto value = [&](const std::string& option) {
      const auto found =
          std::find_if(arguments.begin(), arguments.end(), [&](const std::string& a) { return a.starts_with(option + "="); });
      return found == arguments.end() ? "" : found->substr(option.size() + 1);
    };
    job.name = value("--job-name");
    job.work_dir = value("--chdir");
    job.arguments = arguments;
    job.environment = environment;
    const std::int64_t number = next_number++;
    jobs[number] = job;
    if (loses_answers) return {-1, true, "", ""};
    return said(std::to_string(number) + "\n");
  }

  std::string squeue(const std::vector<std::string>& arguments) {
    const bool all = std::find(arguments.begin(), arguments.end(), "--states=all") != arguments.end();
    std::string text;
    for (const auto& [number, job] : jobs) {
      if (job.forgotten || (!all && job.state != "PENDING" && job.state != "RUNNING")) continue;
      text += std::to_string(number) + " |" + job.state + " |" + std::to_string(job.status) + " |0:10 |10:00 |" + job.reason + " |" +
              job.name + " |" + job.work_dir + " |\n";
    }
    if (const auto meanwhile = std::exchange(while_asked, nullptr)) meanwhile();
    return text;
  }

  server::CommandResult sacct(const std::string& wanted) const {
    if (!has_accounting) return failed("Slurm accounting storage is disabled");
    if (!accounting_trouble.empty()) return failed(accounting_trouble);
    std::string text;
    for (const auto& [number, job] : jobs) {
      if (wanted.find(std::to_string(number)) == std::string::npos) continue;
      const std::string code = std::to_string(job.status >> 8), signal = std::to_string(job.status & 0x7f);
      text += std::to_string(number) + "|" + job.state + "|" + code + ":" + signal + "|" + job.name + "\n";
    }
    return said(text);
  }

  static server::CommandResult release(Job& job) {
    if (job.state == "PENDING") job.reason = "Resources";
    return said("");
  }

  static server::CommandResult scancel(const std::vector<std::string>& arguments, Job& job) {
    const auto given = [&](const std::string& option) { return std::find(arguments.begin(), arguments.end(), option) != arguments.end(); };
    if (given("--batch")) {
      if (job.state == "PENDING") return failed("scancel: error: Kill job error: Job can not be altered now, try again later");
      if (job.state != "RUNNING") return failed("scancel: error: Kill job error: Invalid job id specified");
      job.signals.push_back(given("--signal=TERM") ? "TERM" : "KILL");
    } else if (job.state == "PENDING" || (job.state == "RUNNING" && !given("--state=PENDING"))) {
      job.signals.push_back("CANCEL");
      if (job.state == "PENDING") job.state = "CANCELLED";
    }
    return said("");
  }
};

}  // namespace moelab::test
