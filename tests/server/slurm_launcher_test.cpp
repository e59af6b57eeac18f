// The Slurm launcher against a stand-in cluster: gate, adoption, one question for all jobs, silence of the controller, forgotten and
// foreign jobs, orders that must be given twice. The real cluster is in tests/e2e/test_slurm.py.
#include "server/slurm/slurm_launcher.h"

#include <doctest/doctest.h>
#include <spdlog/spdlog.h>

#include <algorithm>

#include "core/error.h"
#include "server/launcher_set.h"
#include "server/slurm/slurm_job.h"
#include "server/slurm/slurm_slots.h"
#include "tests/db/temp_dir.h"
#include "tests/server/fake_slurm.h"

using namespace moelab;
using namespace std::chrono_literals;

namespace {

struct Desk {
  explicit Desk(const std::vector<db::ProcessIdentity>& live = {}) {
    spdlog::set_level(spdlog::level::off);  // orders that fail are the point here
    restart(live);
  }
  ~Desk() { spdlog::set_level(spdlog::level::info); }
  void restart(const std::vector<db::ProcessIdentity>& live) {
    server::SlurmOptions options;
    options.rules.worker = "/opt/moelab/moelab-worker";
    options.rules.options = {"--constraint=a100"};
    options.runs = dir.path() / "runs";
    options.watch = false;
    launcher = std::make_unique<server::SlurmLauncher>(slurm.client(), options, live);
  }
  server::LaunchRequest request(std::int64_t run) {
    server::LaunchRequest r;
    r.run_id = run;
    r.run_dir = dir.path() / "runs" / std::to_string(run);
    r.cache_dir = dir.path() / "cache";
    r.kind = server::DeviceKind::slurm;
    std::filesystem::create_directories(r.run_dir);
    return r;
  }
  db::ProcessIdentity begin(std::int64_t run) {
    const db::ProcessIdentity process = launcher->spawn(request(run));
    launcher->release(process);
    return process;
  }
  test::FakeSlurm::Job& job(const db::ProcessIdentity& process) { return slurm.jobs.at(process.pid); }

  test::TempDir dir;
  test::FakeSlurm slurm;
  std::unique_ptr<server::SlurmLauncher> launcher;
};

bool contains(const std::vector<std::string>& list, const std::string& text) {
  return std::find(list.begin(), list.end(), text) != list.end();
}

}  // namespace

TEST_CASE("a job waits on hold until it is released, runs, and its end is told until it is forgotten") {
  Desk desk;
  desk.launcher->refresh();
  const db::ProcessIdentity process = desk.launcher->spawn(desk.request(7));
  CHECK(process == db::ProcessIdentity{100, 7, "slurm:lab"});
  CHECK(server::is_slurm_job(process));
  CHECK(desk.job(process).reason == "JobHeldUser");
  desk.launcher->refresh();
  CHECK(desk.job(process).reason == "JobHeldUser");  // looking does not open the gate
  CHECK_FALSE(desk.launcher->poll(process));

  desk.launcher->release(process);
  CHECK(desk.job(process).reason == "Resources");
  desk.launcher->refresh();
  CHECK(desk.launcher->waits(process) == "Slurm job 100 waits: Resources");
  desk.slurm.start(100);
  desk.launcher->refresh();
  CHECK(desk.launcher->waits(process).empty());
  CHECK_FALSE(desk.launcher->poll(process));
  desk.slurm.finish(100, "COMPLETING", 3 << 8);
  desk.launcher->refresh();
  CHECK_FALSE(desk.launcher->poll(process));  // its processes may be there still
  desk.slurm.finish(100, "FAILED", 3 << 8);
  CHECK_FALSE(desk.launcher->poll(process));  // not before Slurm was asked
  desk.launcher->refresh();
  CHECK(desk.launcher->poll(process)->code == 3);
  CHECK(desk.launcher->poll(process)->code == 3);
  CHECK(desk.slurm.asked["sacct"] == 0);  // squeue knows jobs for a while after their end
  desk.launcher->forget(process);
}

TEST_CASE("one question for all jobs, and none when there are no jobs") {
  Desk desk;
  desk.launcher->refresh();
  const int first = desk.slurm.asked["squeue"];
  desk.launcher->refresh();
  CHECK(desk.slurm.asked["squeue"] == first);
  std::vector<db::ProcessIdentity> processes;
  for (std::int64_t run = 1; run <= 50; ++run) processes.push_back(desk.begin(run));
  desk.launcher->refresh();
  for (const db::ProcessIdentity& process : processes) CHECK_FALSE(desk.launcher->poll(process));
  CHECK(desk.slurm.asked["squeue"] == first + 1);
  CHECK(desk.slurm.asked["sacct"] == 0);
  CHECK(desk.slurm.asked["sinfo"] == 1);
}

TEST_CASE("the next daemon adopts jobs, and lets go one that was left at the gate") {
  Desk desk;
  desk.launcher->refresh();
  const db::ProcessIdentity running = desk.begin(1);
  const db::ProcessIdentity held = desk.launcher->spawn(desk.request(2));  // the daemon dies before release()
  desk.slurm.start(running.pid);
  desk.restart({running, held});
  desk.launcher->refresh();
  CHECK_FALSE(desk.launcher->poll(running));
  CHECK_FALSE(desk.launcher->poll(held));
  CHECK(desk.job(held).reason == "Resources");
  desk.job(held).reason = "JobHeldUser";  // somebody holds it afterwards: that is theirs to end
  desk.launcher->refresh();
  CHECK(desk.job(held).reason == "JobHeldUser");
  desk.slurm.finish(running.pid, "COMPLETED", 0);
  desk.launcher->refresh();
  CHECK(desk.launcher->poll(running)->code == 0);
}

TEST_CASE("jobs that no live run knows are cancelled, and their runs wait until those have ended") {
  Desk desk;
  desk.launcher->refresh();
  const db::ProcessIdentity held = desk.launcher->spawn(desk.request(1));  // its identity was never committed
  const db::ProcessIdentity running = desk.begin(2);                      // the database was lost
  desk.slurm.start(running.pid);
  desk.slurm.add(50, "moelab-9", "/home/else/runs/9");                      // of another home
  desk.slurm.add(51, "plot", (desk.dir.path() / "runs" / "2").string());  // no worker
  desk.restart({});
  CHECK_THROWS_AS(desk.launcher->spawn(desk.request(2)), core::Error);  // nobody has looked yet
  desk.launcher->refresh();
  CHECK(desk.job(held).state == "CANCELLED");
  CHECK(contains(desk.job(running).signals, "CANCEL"));
  CHECK(desk.slurm.jobs[50].signals.empty());
  CHECK(desk.slurm.jobs[51].signals.empty());
  try {
    desk.launcher->spawn(desk.request(2));
    FAIL("two jobs would train one run");
  } catch (const core::Error& e) {
    CHECK(e.kind() == core::ErrorKind::unreachable);
    CHECK(std::string(e.what()).find("has not ended yet") != std::string::npos);
  }
  desk.slurm.finish(running.pid, "CANCELLED", 75 << 8);
  desk.launcher->refresh();
  CHECK(desk.launcher->spawn(desk.request(2)).pid > running.pid);
}

TEST_CASE("an sbatch whose answer is lost leaves no second job") {
  Desk desk;
  desk.launcher->refresh();
  desk.slurm.loses_answers = true;
  CHECK_THROWS_AS(desk.launcher->spawn(desk.request(1)), core::Error);
  CHECK(desk.launcher->trouble().find("did not end within") != std::string::npos);
  desk.slurm.loses_answers = false;
  desk.launcher->refresh();
  CHECK(desk.slurm.jobs.at(100).state == "CANCELLED");
  CHECK(desk.launcher->trouble().empty());
  desk.launcher->refresh();
  CHECK(desk.launcher->spawn(desk.request(1)).pid == 101);
}

TEST_CASE("while Slurm does not answer, jobs are alive, nothing is started, and orders are kept") {
  Desk desk;
  desk.launcher->refresh();
  const db::ProcessIdentity process = desk.begin(1);
  desk.slurm.start(process.pid);
  desk.launcher->refresh();
  desk.slurm.down = true;
  desk.launcher->refresh();
  CHECK_FALSE(desk.launcher->poll(process));
  CHECK(desk.launcher->trouble().find("Unable to contact slurm controller") != std::string::npos);
  const int tried = desk.slurm.asked["sbatch"];
  CHECK_THROWS_AS(desk.launcher->spawn(desk.request(2)), core::Error);
  CHECK(desk.slurm.asked["sbatch"] == tried);  // it says so at once
  desk.launcher->terminate(process);
  desk.slurm.down = false;
  desk.launcher->refresh();
  CHECK(desk.launcher->trouble().empty());
  desk.launcher->refresh();
  CHECK(desk.job(process).signals == std::vector<std::string>{"TERM"});  // once
}

TEST_CASE("a gate that Slurm could not open is opened after its next answer") {
  Desk desk;
  desk.launcher->refresh();
  const db::ProcessIdentity process = desk.launcher->spawn(desk.request(1));
  desk.slurm.down = true;
  desk.launcher->release(process);
  CHECK(desk.job(process).reason == "JobHeldUser");
  CHECK_FALSE(desk.launcher->trouble().empty());
  desk.slurm.down = false;
  desk.launcher->refresh();
  CHECK(desk.job(process).reason == "Resources");
}

TEST_CASE("Slurm is asked until it answers again, also when no job is left to ask about") {
  Desk desk;
  desk.launcher->refresh();
  const db::ProcessIdentity process = desk.begin(1);
  desk.slurm.down = true;
  desk.launcher->terminate(process);
  desk.launcher->forget(process);
  CHECK_FALSE(desk.launcher->trouble().empty());
  desk.slurm.down = false;
  desk.launcher->refresh();
  CHECK(desk.launcher->trouble().empty());
}

TEST_CASE("a job that is submitted while Slurm is being asked is not in the answer, and not gone") {
  Desk desk;
  desk.launcher->refresh();
  desk.begin(1);
  desk.slurm.has_accounting = false;
  std::optional<db::ProcessIdentity> late;
  desk.slurm.while_asked = [&] { late = desk.begin(2); };
  desk.launcher->refresh();
  REQUIRE(late);
  CHECK_FALSE(desk.launcher->poll(*late));
}

TEST_CASE("a job that squeue has forgotten is looked up in the accounting") {
  Desk desk;
  desk.launcher->refresh();
  const db::ProcessIdentity process = desk.begin(1);
  desk.slurm.start(process.pid);
  desk.launcher->refresh();
  desk.job(process).forgotten = true;
  desk.launcher->refresh();
  CHECK_FALSE(desk.launcher->poll(process));  // it has not ended, as far as the accounting knows
  desk.slurm.finish(process.pid, "FAILED", 9);
  desk.job(process).forgotten = true;
  desk.slurm.accounting_trouble = "sacct: error: Problem talking to the database: Connection refused";
  desk.launcher->refresh();
  CHECK_FALSE(desk.launcher->poll(process));     // nobody knows yet
  CHECK(desk.launcher->trouble().empty());       // new jobs need no accounting
  desk.slurm.accounting_trouble.clear();
  desk.launcher->refresh();
  CHECK(desk.launcher->poll(process)->signal == 9);
}

TEST_CASE("without accounting a forgotten job is gone, and nobody knows how") {
  Desk desk;
  desk.launcher->refresh();
  desk.slurm.has_accounting = false;
  const db::ProcessIdentity process = desk.begin(1);
  desk.job(process).forgotten = true;
  desk.launcher->refresh();
  const auto exit = desk.launcher->poll(process);
  REQUIRE(exit);
  CHECK_FALSE(exit->code);
  CHECK_FALSE(exit->signal);
  CHECK(exit->note.find("does not know job 100") != std::string::npos);
}

TEST_CASE("a number that Slurm has given to somebody else's job is not ours any more") {
  Desk desk;
  desk.launcher->refresh();
  const db::ProcessIdentity process = desk.begin(1);
  desk.job(process).name = "plot";
  desk.launcher->refresh();
  CHECK(desk.launcher->poll(process));
}

TEST_CASE("a stop: a pending job leaves the queue, a running one gets the signal, one that began meanwhile as well") {
  Desk desk;
  desk.launcher->refresh();
  const db::ProcessIdentity pending = desk.begin(1), running = desk.begin(2), racing = desk.begin(3), deaf = desk.begin(4);
  desk.slurm.start(running.pid);
  desk.slurm.start(deaf.pid);
  desk.launcher->refresh();
  desk.launcher->terminate(pending);
  CHECK(desk.job(pending).state == "CANCELLED");
  desk.launcher->terminate(running);
  desk.launcher->terminate(running);
  CHECK(desk.job(running).signals == std::vector<std::string>{"TERM"});
  desk.slurm.start(racing.pid);  // Slurm started it since it was seen pending
  desk.launcher->terminate(racing);
  CHECK(desk.job(racing).signals.empty());
  desk.launcher->refresh();
  CHECK(desk.job(racing).signals == std::vector<std::string>{"TERM"});

  desk.launcher->terminate(deaf);
  desk.launcher->kill(deaf);
  desk.launcher->kill(deaf);  // every tick of the dispatcher, but not every tick of Slurm's
  CHECK(desk.job(deaf).signals == std::vector<std::string>{"TERM", "KILL", "CANCEL"});
}

TEST_CASE("a job of another cluster is nobody's to judge here") {
  Desk desk;
  desk.launcher->refresh();
  const db::ProcessIdentity other = server::slurm_identity(100, 1, "elsewhere");
  desk.restart({other});
  desk.slurm.add(100, "moelab-1", (desk.dir.path() / "runs" / "1").string());
  desk.launcher->refresh();
  CHECK_THROWS_WITH_AS(desk.launcher->poll(other),
                       "its worker is job 100 of the cluster elsewhere, and this daemon talks to lab; start it with the other's SLURM_CONF",
                       core::Error);
  CHECK_THROWS_AS(desk.launcher->kill(other), core::Error);
  CHECK(desk.slurm.jobs[100].signals.empty());
  desk.restart({other});
  desk.slurm.jobs[100].state = "PENDING";
  desk.slurm.jobs[100].reason = "JobHeldUser";
  desk.launcher->refresh();
  CHECK(desk.slurm.jobs[100].reason == "JobHeldUser");  // nor to let go
}

TEST_CASE("what sbatch refuses for good, and what it only cannot do now") {
  Desk desk;
  desk.launcher->refresh();
  const auto kind = [&](const std::string& refusal) {
    desk.slurm.refusal = refusal;
    try {
      desk.launcher->spawn(desk.request(1));
    } catch (const core::Error& e) {
      desk.slurm.refusal.clear();
      desk.launcher->refresh();
      return e.kind();
    }
    return core::ErrorKind::internal;
  };
  CHECK(kind("sbatch: error: invalid partition specified: nope\n"
             "sbatch: error: Batch job submission failed: Invalid partition name specified") == core::ErrorKind::config);
  CHECK(kind("sbatch: error: Batch job submission failed: Requested node configuration is not available") == core::ErrorKind::config);
  CHECK(kind("sbatch: error: Batch job submission failed: Invalid account or account/partition combination specified") ==
        core::ErrorKind::config);
  CHECK(kind("sbatch: error: QOSMaxSubmitJobPerUserLimit\n"
             "sbatch: error: Batch job submission failed: Job violates accounting/QOS policy (job submit limit, user's size and/or time limits)") ==
        core::ErrorKind::unreachable);
  CHECK(kind("sbatch: error: Batch job submission failed: Unable to contact slurm controller (connect failure)") ==
        core::ErrorKind::unreachable);
  CHECK(kind("sbatch: error: Batch job submission failed: Unspecified error") == core::ErrorKind::storage);
}

TEST_CASE("what sbatch is told") {
  Desk desk;
  desk.launcher->refresh();
  ::setenv("CUDA_VISIBLE_DEVICES", "5", 1);
  ::setenv("MOELAB_TOKEN", "secret", 1);
  ::setenv("SBATCH_WAIT", "1", 1);
  ::setenv("SLURM_CONF", "/etc/lab/slurm.conf", 1);
  server::LaunchRequest request = desk.request(7);
  request.attempt = 3;
  request.threads = 2;
  request.time_left = 90min;
  request.resources.memory_gb = 4;
  request.resources.account = "physics";
  request.resources.qos = "long";
  const auto plain = desk.job(desk.launcher->spawn(request));
  ::unsetenv("CUDA_VISIBLE_DEVICES");
  ::unsetenv("MOELAB_TOKEN");
  ::unsetenv("SBATCH_WAIT");
  ::unsetenv("SLURM_CONF");
  for (const char* wanted :
       {"--parsable", "--hold", "--no-requeue", "--job-name=moelab-7", "--open-mode=append", "--cpus-per-task=2", "--signal=B:TERM@60",
        "--gres=gpu:1", "--mem=3815", "--time=92", "--account=physics", "--qos=long", "--constraint=a100"}) {
    CHECK_MESSAGE(contains(plain.arguments, wanted), wanted);
  }
  CHECK(contains(plain.arguments, "--output=" + (request.run_dir / "worker.log").string()));
  const auto worker = std::find(plain.arguments.begin(), plain.arguments.end(), (request.run_dir / "job.sh").string());
  REQUIRE(worker != plain.arguments.end());
  CHECK(std::vector<std::string>(worker + 1, plain.arguments.end()) ==
        std::vector<std::string>{"/opt/moelab/moelab-worker", "train", "--run-dir", request.run_dir.string(), "--cache-dir",
                                 request.cache_dir.string(), "--attempt", "3", "--device", "cuda", "--threads", "2"});
  CHECK(contains(plain.environment, "MOELAB_RUN_ID=7"));
  CHECK(contains(plain.environment, "OMP_NUM_THREADS=2"));
  CHECK(contains(plain.environment, "SLURM_CONF=/etc/lab/slurm.conf"));  // which cluster
  for (const std::string& variable : plain.environment) {
    for (const char* hidden : {"CUDA_VISIBLE_DEVICES=", "MOELAB_TOKEN=", "SBATCH_WAIT="}) CHECK_FALSE(variable.starts_with(hidden));
  }
  CHECK(test::read_text(request.run_dir / "job.sh").find("exec \"$@\"") != std::string::npos);

  // GPUs: none where the partition has none, or the run wants none; a partition's limit caps what is asked for.
  request.resources.partition = "urgent";
  const auto urgent = desk.job(desk.launcher->spawn(request));
  CHECK_FALSE(contains(urgent.arguments, "--gres=gpu:1"));
  CHECK(contains(urgent.arguments, "--partition=urgent"));
  CHECK(contains(urgent.arguments, "--time=10"));
  CHECK(contains(urgent.arguments, "cpu"));
  request.resources.partition = "";
  request.resources.gpus = 0;
  request.time_left.reset();
  const auto none = desk.job(desk.launcher->spawn(request));
  CHECK_FALSE(contains(none.arguments, "--gres=gpu:1"));
  CHECK(std::none_of(none.arguments.begin(), none.arguments.end(), [](const std::string& a) { return a.starts_with("--time="); }));
}

TEST_CASE("a launcher set goes by where the device and the worker are; without Slurm it says so") {
  Desk desk;
  desk.launcher->refresh();
  server::LauncherSet alone(nullptr, nullptr, "sbatch is not in the PATH of the daemon");
  CHECK_THROWS_WITH_AS(alone.poll(server::slurm_identity(1, 1, "lab")),
                       "its worker is a Slurm job, and there is no Slurm here: sbatch is not in the PATH of the daemon", core::Error);
  server::SlurmLauncher& slurm = *desk.launcher;
  server::LauncherSet set(nullptr, std::move(desk.launcher), "");
  const db::ProcessIdentity process = set.spawn(desk.request(1));
  set.release(process);
  slurm.refresh();
  CHECK(set.waits(process) == "Slurm job 100 waits: Resources");
  desk.slurm.start(process.pid);
  slurm.refresh();
  set.terminate(process);
  CHECK(desk.job(process).signals == std::vector<std::string>{"TERM"});
  set.kill(process);
  CHECK(desk.job(process).signals == std::vector<std::string>{"TERM", "KILL", "CANCEL"});
  desk.slurm.finish(process.pid, "FAILED", 3 << 8);
  slurm.refresh();
  CHECK(set.poll(process)->code == 3);
  set.forget(process);
  CHECK_FALSE(set.poll(process));
}

TEST_CASE("slots for Slurm jobs are there when a cluster is, and closed while it does not answer") {
  server::SlurmSlots::Cluster cluster;
  server::SlurmSlots slots(server::make_cpu_inventory(1, false), 3, [&] { return cluster; });
  CHECK(slots.list().size() == 1);
  cluster.present = true;
  const auto devices = slots.list();
  REQUIRE(devices.size() == 4);
  CHECK(devices[3].id == "slurm2");
  CHECK(devices[3].kind == server::DeviceKind::slurm);
  CHECK(devices[3].fault.empty());
  cluster.trouble = "Slurm does not answer";
  REQUIRE(slots.list().size() == 2);
  CHECK(slots.list()[1].fault == "cannot be used: Slurm does not answer");
  CHECK(slots.list()[1].id == "slurm");  // no slot that may be leased
}
