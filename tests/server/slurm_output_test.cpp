// What Slurm's commands print, recorded from Slurm 22.05.8 (slurm_recorded/), read back; and what the end of a job says about a run.
#include "server/slurm/slurm_output.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <filesystem>
#include <map>

#include "server/outcome.h"
#include "tests/db/temp_dir.h"

using namespace moelab;
using namespace std::chrono_literals;

namespace {

constexpr std::chrono::seconds kWarning{50};  // the jobs were recorded with --signal=B:TERM@50

std::string recorded(const char* name) {
  return test::read_text(std::filesystem::path(MOELAB_SOURCE_DIR) / "tests/server/slurm_recorded" / name);
}

std::map<std::int64_t, server::SlurmJob> recorded_jobs() {
  std::map<std::int64_t, server::SlurmJob> jobs;
  for (const server::SlurmJob& job : server::parse_squeue(recorded("squeue.txt"))) jobs[job.id] = job;
  return jobs;
}

db::AttemptEnd judged(const server::Exit& exit, const std::optional<std::string>& word, std::optional<db::StopIntent> asked = {}) {
  db::RunRow run;
  run.pace_step = 1;  // it came further
  run.state = asked ? core::RunState::stopping : core::RunState::running;
  run.stop_intent = asked;
  run.resources.max_restarts = 3;
  const auto final_word = word ? std::optional(db::FinalWord{*word, "", ""}) : std::nullopt;
  return server::judge(run, exit, final_word, {}, core::TimePoint{});
}

}  // namespace

TEST_CASE("squeue: every job with its state, status, times and place, whatever its name holds") {
  const auto jobs = recorded_jobs();
  REQUIRE(jobs.size() == 12);
  CHECK(jobs.at(1).state == "COMPLETED");
  CHECK(jobs.at(1).name == "moelab-1");
  CHECK(jobs.at(1).work_dir == "/srv/moelab/runs/1");
  CHECK_FALSE(jobs.at(1).limit);
  CHECK(jobs.at(5).ran == 27s);
  CHECK(jobs.at(5).limit == 60s);
  CHECK(jobs.at(10).limit == 24h);
  CHECK(jobs.at(9).state == "COMPLETED");  // its name has a bar in it
  CHECK(jobs.at(11).reason.starts_with("Nodes required for job are DOWN"));
  CHECK(server::parse_squeue("slurm_load_jobs error: Invalid job id specified\n\n").empty());
}

TEST_CASE("a job is held, pending, over, or something in between") {
  const auto jobs = recorded_jobs();
  CHECK(server::is_held(jobs.at(12)));
  CHECK_FALSE(server::is_held(jobs.at(11)));
  for (const std::int64_t id : {11, 12}) {
    CHECK(server::is_pending(jobs.at(id)));
    CHECK_FALSE(server::is_over(jobs.at(id)));
  }
  for (std::int64_t id = 1; id <= 10; ++id) CHECK_MESSAGE(server::is_over(jobs.at(id)), id);
  server::SlurmJob ending = jobs.at(1);
  for (const char* state : {"RUNNING", "COMPLETING", "CONFIGURING", "SUSPENDED", "STAGE_OUT"}) {
    ending.state = state;
    CHECK_FALSE(server::is_over(ending));
    CHECK_FALSE(server::is_pending(ending));
  }
  // Of the manual, and not recorded.
  for (const char* state : {"REQUEUED", "REQUEUE_FED", "REQUEUE_HOLD", "SPECIAL_EXIT"}) {
    ending.state = state;
    CHECK_FALSE(server::is_over(ending));
    CHECK(server::is_pending(ending));
  }
  for (const char* state : {"OUT_OF_MEMORY", "BOOT_FAIL", "DEADLINE", "REVOKED"}) {
    ending.state = state;
    CHECK(server::is_over(ending));
  }
}

TEST_CASE("the end of a job: exit code, signal, and whose doing it was") {
  const auto jobs = recorded_jobs();
  const auto exit = [&](std::int64_t id) { return server::exit_of(jobs.at(id), kWarning); };
  CHECK(exit(1).code == 0);
  CHECK(exit(2).code == 3);
  CHECK(exit(3).signal == 9);
  CHECK(exit(3).note.empty());
  CHECK(exit(4).cancelled);
  CHECK(exit(5).code == 75);
  CHECK(exit(5).note == "Slurm job 5 came near its time limit");
  CHECK_FALSE(exit(6).code);
  CHECK_FALSE(exit(6).signal);
  CHECK(exit(6).note == "Slurm job 6 could not be started (JobLaunchFailure, Slurm's error 4021)");
  CHECK(exit(7).note == "Slurm job 7 came to its time limit");
  CHECK(exit(8).not_its_fault);
  CHECK(exit(8).note.find("preempted") != std::string::npos);
  CHECK(exit(10).not_its_fault);
  CHECK(exit(10).note.find("node") != std::string::npos);

  server::SlurmJob job = jobs.at(3);
  job.state = "OUT_OF_MEMORY";
  CHECK(server::exit_of(job, kWarning).oom_killed);
  for (const char* state : {"BOOT_FAIL", "REVOKED"}) {
    job.state = state;
    CHECK(server::exit_of(job, kWarning).not_its_fault);
  }
  job = jobs.at(5);
  job.limit = 24h;  // far from it: somebody else sent SIGTERM
  CHECK(server::exit_of(job, kWarning).note.empty());
}

TEST_CASE("what becomes of the run of a job that is over") {
  const auto jobs = recorded_jobs();
  const auto end = [&](std::int64_t id, const std::optional<std::string>& word, std::optional<db::StopIntent> asked = {}) {
    return judged(server::exit_of(jobs.at(id), kWarning), word, asked);
  };
  using core::RunState;
  CHECK(end(1, "completed").to == RunState::completed);

  // The warning before the time limit: checkpointed, goes on in another job, and it is not counted as a crash.
  CHECK(end(5, "preempted").to == RunState::queued);
  CHECK(end(5, "preempted").reason == "Slurm job 5 came near its time limit");
  CHECK_FALSE(end(5, "preempted").counts_as_restart);
  // It did not get to a checkpoint: counted, so that a run that never can ends some day.
  CHECK(end(7, std::nullopt).to == RunState::queued);
  CHECK(end(7, std::nullopt).counts_as_restart);

  for (const std::int64_t id : {8, 10}) {
    CHECK(end(id, std::nullopt).to == RunState::queued);
    CHECK_FALSE(end(id, std::nullopt).counts_as_restart);
  }
  // A job that cannot be started is a failure that counts, in the state `starting` as well.
  db::RunRow run;
  run.state = RunState::starting;
  run.resources.max_restarts = 0;
  const db::AttemptEnd failed = server::judge(run, server::exit_of(jobs.at(6), kWarning), std::nullopt, {}, core::TimePoint{});
  CHECK(failed.to == RunState::failed);
  CHECK(failed.reason.find("could not be started") != std::string::npos);

  server::SlurmJob job = jobs.at(3);
  job.state = "OUT_OF_MEMORY";
  const db::AttemptEnd oom = judged(server::exit_of(job, kWarning), std::nullopt);
  CHECK(oom.to == RunState::out_of_memory);
  CHECK(oom.reason.find("resources.memory_gb") != std::string::npos);
}

TEST_CASE("sacct: jobs that squeue has forgotten") {
  const std::vector<server::SlurmJob> jobs = server::parse_sacct(recorded("sacct.txt"));
  REQUIRE(jobs.size() == 5);
  CHECK(server::exit_of(jobs[0], kWarning).code == 0);
  CHECK(server::exit_of(jobs[1], kWarning).code == 3);
  CHECK(server::exit_of(jobs[2], kWarning).signal == 9);
  CHECK(jobs[3].state == "CANCELLED");
  CHECK(server::exit_of(jobs[3], kWarning).cancelled);
  CHECK_FALSE(server::is_over(jobs[4]));
  CHECK(jobs[4].name == "moelab-5");
}

TEST_CASE("sinfo: partitions with their time limit and largest node") {
  const std::vector<server::SlurmPartition> recorded_partitions = server::parse_sinfo(recorded("sinfo.txt"));
  REQUIRE(recorded_partitions.size() == 2);
  CHECK(recorded_partitions[0].name == "main");
  CHECK(recorded_partitions[0].is_default);
  CHECK_FALSE(recorded_partitions[0].most_time);
  CHECK(recorded_partitions[0].gpus == 2);
  CHECK(recorded_partitions[0].cpus == 4);
  CHECK_FALSE(recorded_partitions[1].is_default);
  CHECK(recorded_partitions[1].most_time == 10min);
  // Forms of the manual that one node does not show.
  const auto more = server::parse_sinfo(
      "a100|up|2-00:00:00|gpu:a100:4(S:0-1),nic:1|32+\na100|up|2-00:00:00|gpu:h100:8|64\na100|up|2-00:00:00|(null)|16\n"
      "cpu|down|1:00|(null)|8\n");
  REQUIRE(more.size() == 2);
  CHECK(more[0].gpus == 8);
  CHECK(more[0].cpus == 64);
  CHECK(more[0].most_time == 48h);
  CHECK(more[1].gpus == 0);
  CHECK_FALSE(more[1].up);
}

TEST_CASE("times as Slurm writes them") {
  CHECK(server::parse_slurm_time("0:00") == 0s);
  CHECK(server::parse_slurm_time("1:27") == 87s);
  CHECK(server::parse_slurm_time("2:03:04") == 2h + 3min + 4s);
  CHECK(server::parse_slurm_time("1-00:00:01") == 24h + 1s);
  for (const char* none : {"UNLIMITED", "infinite", "INVALID", "n/a", "", "12", "1-", "1:x"}) CHECK_FALSE(server::parse_slurm_time(none));
}
