// What is asked of Slurm at submission: runs that could never start there are refused, with every reason.
#include "server/slurm/slurm_check.h"

#include <doctest/doctest.h>

#include <cstdlib>

#include "core/error.h"
#include "tests/db/temp_dir.h"
#include "tests/server/fake_slurm.h"

using namespace moelab;

namespace {

// A PATH with Slurm's commands, as far as their names; what they say is FakeSlurm's.
struct Submission {
  Submission() {
    for (const char* program : {"sbatch", "squeue", "scancel", "scontrol", "sinfo", "sacct"}) {
      test::write_text(dir.path() / program, "#!/bin/sh\n");
      std::filesystem::permissions(dir.path() / program, std::filesystem::perms::owner_all);
    }
    ::setenv("PATH", dir.path().c_str(), 1);
  }
  ~Submission() { ::setenv("PATH", path.c_str(), 1); }

  // "resources.gpus: asks for ..." of each problem; empty when the runs are taken.
  std::vector<std::string> problems(std::vector<core::ResourceConfig> runs, bool by_default = false, int jobs = 4) {
    core::Plan plan;
    for (const core::ResourceConfig& resources : runs) {
      core::PlannedRun run;
      run.spec.experiment = "e";
      run.spec.name = "r" + std::to_string(plan.runs.size());
      run.spec.config.resources = resources;
      plan.runs.push_back(run);
    }
    std::vector<std::string> list;
    try {
      server::SlurmCheck(slurm.client(), by_default, jobs).require(plan, "study.yaml");
    } catch (const core::Error& e) {
      CHECK(e.kind() == core::ErrorKind::config);
      for (const core::Problem& problem : e.problems()) list.push_back(problem.path + " " + problem.message);
    }
    return list;
  }

  test::TempDir dir;
  test::FakeSlurm slurm;  // its default partition has 2 GPUs and 4 CPUs
  const std::string path = std::getenv("PATH");
};

core::ResourceConfig wants(std::optional<std::int64_t> gpus, std::optional<std::int64_t> cpus = {}, const std::string& partition = "",
                           core::LauncherKind launcher = core::LauncherKind::slurm) {
  core::ResourceConfig resources;
  resources.gpus = gpus;
  resources.cpus = cpus;
  resources.partition = partition;
  resources.launcher = launcher;
  return resources;
}

using Texts = std::vector<std::string>;

}  // namespace

TEST_CASE("what the largest node of a partition has may be asked for, and no more") {
  Submission t;
  CHECK(t.problems({wants(2, 4), wants(0, 4, "urgent"), wants({})}).empty());
  CHECK(t.problems({wants(3), wants(0, 5), wants(1, 1, "urgent"), wants(1, 1, "urgnt")}) ==
        Texts{"resources.gpus asks for 3 GPU, and the largest node of Slurm's partition main has 2 (run e/r0)",
              "resources.cpus asks for 5 threads, and the largest node of Slurm's partition main has 4 CPUs (run e/r1)",
              "resources.gpus asks for 1 GPU, and the largest node of Slurm's partition urgent has 0 (run e/r2)",
              "resources.partition Slurm has no partition 'urgnt' (did you mean 'urgent'?) (run e/r3)"});
  CHECK(t.problems({wants(3), wants(3)}).size() == 1);  // one slip is said once
}

TEST_CASE("only runs that go to Slurm are asked about, by their file or by the daemon's default") {
  Submission t;
  const core::ResourceConfig here = wants(3, {}, "", core::LauncherKind::process);
  const core::ResourceConfig anywhere = wants(3, {}, "", core::LauncherKind::automatic);
  CHECK(t.problems({here, anywhere}).empty());
  CHECK(t.slurm.asked["sinfo"] == 0);
  CHECK(t.problems({here, anywhere}, true).size() == 1);
}

TEST_CASE("a cluster that does not answer now refuses nothing; one that is not there, or may have no job, does") {
  Submission t;
  t.slurm.down = true;
  CHECK(t.problems({wants(3, 9, "nowhere")}).empty());
  t.slurm.down = false;
  CHECK(t.problems({wants(1)}, false, 0) ==
        Texts{"resources.launcher is slurm, but this daemon was started with --slurm-jobs 0 (run e/r0)"});
  std::filesystem::remove(t.dir.path() / "sacct");
  CHECK(t.problems({wants(1)}) ==
        Texts{"resources.launcher is slurm, but sacct is not in the PATH of the daemon; start the daemon where Slurm's commands are "
              "(run e/r0)"});
}
