// Real processes: gate, environment, log, process group, exit status, adoption. The worker is a shell stand-in.
#include "server/process_launcher.h"

#include <doctest/doctest.h>

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <cstdlib>

#include "server/devices/cpu_slots.h"
#include "server/process_info.h"
#include "tests/server/engine_fixture.h"

using namespace moelab;

namespace {

const std::filesystem::path kStandIn = std::filesystem::path(MOELAB_SOURCE_DIR) / "tests/server/stand_in_worker.sh";

struct Launched {
  explicit Launched(const char* mode, const char* steps = "3") {
    ::setenv("STAND_IN_MODE", mode, 1);
    ::setenv("STAND_IN_STEPS", steps, 1);
  }
  ~Launched() {
    ::unsetenv("STAND_IN_MODE");
    ::unsetenv("STAND_IN_STEPS");
  }
  server::LaunchRequest request() {
    server::LaunchRequest r;
    r.run_id = 5;
    r.attempt = 1;
    r.run_dir = dir.path();
    r.cache_dir = dir.path();
    r.threads = 3;
    return r;
  }
  std::string journal() { return test::read_text(dir.path() / "events.jsonl"); }
  std::string log() { return test::read_text(dir.path() / "worker.log"); }
  server::Exit wait(const db::ProcessIdentity& process) {
    REQUIRE(test::eventually([&] { return launcher.poll(process).has_value(); }));
    return *launcher.poll(process);
  }
  test::TempDir dir;
  server::ProcessLauncher launcher{kStandIn};
};

}  // namespace

TEST_CASE("a worker does nothing before it is released, then runs to its end") {
  Launched t("train");
  const db::ProcessIdentity process = t.launcher.spawn(t.request());
  CHECK(server::is_alive(process));
  CHECK(t.journal().empty());
  t.launcher.release(process);
  const server::Exit exit = t.wait(process);
  CHECK(exit.code == 0);
  CHECK_FALSE(exit.signal);
  CHECK(t.journal().find("\"completed\"") != std::string::npos);
  CHECK(t.launcher.poll(process)->code == 0);  // until it is forgotten
  t.launcher.forget(process);
  CHECK_FALSE(t.launcher.poll(process)->code);  // a stranger that is gone
}

TEST_CASE("a worker whose daemon dies before releasing it leaves without a trace") {
  Launched t("train");
  db::ProcessIdentity process;
  {
    server::ProcessLauncher dying(kStandIn);
    process = dying.spawn(t.request());
  }
  CHECK(test::eventually([&] { return !server::is_alive(process); }));
  CHECK(t.journal().empty());
  t.launcher.forget(process);
}

TEST_CASE("environment, session and files of a worker") {
  Launched t("env", "0");
  ::setenv("MOELAB_TOKEN", "secret", 1);
  ::setenv("OMP_NUM_THREADS", "77", 1);
  const int leaked = ::fcntl(STDERR_FILENO, F_DUPFD, 50);  // without O_CLOEXEC, as a library might
  REQUIRE(leaked >= 50);
  server::LaunchRequest request = t.request();
  request.kind = server::DeviceKind::gpu;
  request.gpu_index = 2;
  const db::ProcessIdentity process = t.launcher.spawn(request);
  t.launcher.release(process);
  CHECK(t.wait(process).code == 0);
  ::close(leaked);
  ::unsetenv("MOELAB_TOKEN");
  ::unsetenv("OMP_NUM_THREADS");
  const std::string log = "\n" + t.log();
  for (const std::string line :
       {"CUDA_DEVICE_ORDER=PCI_BUS_ID", "CUDA_VISIBLE_DEVICES=2", "MOELAB_RUN_ID=5", "MOELAB_ATTEMPT=1", "OMP_NUM_THREADS=3"}) {
    CAPTURE(line);
    CHECK(log.find("\n" + line + "\n") != std::string::npos);
  }
  CHECK(log.find("\nMOELAB_RUN_DIR=" + t.dir.path().string() + "\n") != std::string::npos);
  CHECK(log.find("secret") == std::string::npos);
  CHECK(log.find("\nFD " + std::to_string(leaked) + "\n") == std::string::npos);
  const std::string pid = std::to_string(process.pid);
  CHECK(log.find("SESSION " + pid + " PID " + pid) != std::string::npos);
}

TEST_CASE("a worker that is forgotten at its gate leaves, and no zombie of it") {
  Launched t("train");
  const db::ProcessIdentity process = t.launcher.spawn(t.request());
  t.launcher.forget(process);
  CHECK_FALSE(server::identify(process.pid));
  CHECK_FALSE(std::filesystem::exists("/proc/" + std::to_string(process.pid)));
  CHECK(t.journal().empty());
}

TEST_CASE("a GPU is named by its UUID where that is known") {
  Launched t("env", "0");
  server::LaunchRequest request = t.request();
  request.kind = server::DeviceKind::gpu;
  request.gpu_index = 2;
  request.gpu_uuid = "GPU-aaaa-2";
  const db::ProcessIdentity process = t.launcher.spawn(request);
  t.launcher.release(process);
  CHECK(t.wait(process).code == 0);
  CHECK(t.log().find("\nCUDA_VISIBLE_DEVICES=GPU-aaaa-2\n") != std::string::npos);
}

TEST_CASE("a worker is pinned to the CPUs of its slot, unless it was given more threads than those") {
  const std::vector<server::LogicalCpu> cpus = server::read_cpus();
  REQUIRE_FALSE(cpus.empty());
  const int last = cpus.back().id;
  const auto allowed_cpus = [&](int threads, std::vector<int> pinned_to) {
    Launched t("env", "0");
    server::LaunchRequest request = t.request();
    request.threads = threads;
    request.cpus = std::move(pinned_to);
    const db::ProcessIdentity process = t.launcher.spawn(request);
    t.launcher.release(process);
    CHECK(t.wait(process).code == 0);
    const std::string log = t.log(), name = "Cpus_allowed_list:\t";
    const std::size_t at = log.find(name);
    REQUIRE(at != std::string::npos);
    return log.substr(at + name.size(), log.find('\n', at) - at - name.size());
  };
  CHECK(allowed_cpus(1, {last}) == std::to_string(last));
  const std::string everywhere = allowed_cpus(1, {});
  CHECK((cpus.size() == 1 || everywhere != std::to_string(last)));
  CHECK(allowed_cpus(2, {last}) == everywhere);
}

TEST_CASE("SIGTERM lets a worker checkpoint and leave") {
  Launched t("train", "100000");
  const db::ProcessIdentity process = t.launcher.spawn(t.request());
  t.launcher.release(process);
  REQUIRE(test::eventually([&] { return t.journal().find("metrics") != std::string::npos; }));
  t.launcher.terminate(process);
  CHECK(t.wait(process).code == core::kExitPreempted);
  CHECK(t.journal().find("preempted") != std::string::npos);
}

TEST_CASE("SIGKILL takes a stubborn worker and its children, and is not mistaken for a lack of memory") {
  Launched t("stubborn");
  const db::ProcessIdentity process = t.launcher.spawn(t.request());
  t.launcher.release(process);
  REQUIRE(test::eventually([&] { return t.journal().find("started") != std::string::npos; }));
  const std::int64_t child = std::stoll(t.log().substr(t.log().find("CHILD ") + 6));
  REQUIRE(server::identify(child));
  t.launcher.terminate(process);
  t.launcher.kill(process);
  const server::Exit exit = t.wait(process);
  CHECK(exit.signal == SIGKILL);
  CHECK_FALSE(exit.oom_killed);
  CHECK(test::eventually([&] { return !server::identify(child); }));
}

TEST_CASE("a worker of another launcher is watched and stopped by its identity, without an exit status") {
  Launched t("train", "100000");
  const db::ProcessIdentity process = t.launcher.spawn(t.request());
  t.launcher.release(process);
  REQUIRE(test::eventually([&] { return t.journal().find("metrics") != std::string::npos; }));
  server::ProcessLauncher successor(kStandIn);
  CHECK_FALSE(successor.poll(process));
  db::ProcessIdentity impostor = process;
  ++impostor.start_ticks;
  CHECK(successor.poll(impostor));  // same pid, another process: ours is gone
  successor.kill(impostor);
  CHECK(server::is_alive(process));
  successor.terminate(process);
  CHECK(test::eventually([&] { return successor.poll(process).has_value(); }));
  CHECK_FALSE(successor.poll(process)->code);
  CHECK(t.wait(process).code == core::kExitPreempted);
}

TEST_CASE("a missing worker executable is told at once") {
  std::string message;
  CHECK(test::kind_of_error([] { server::ProcessLauncher launcher("/nowhere/moelab-worker"); }, &message) == core::ErrorKind::config);
  CHECK(message.find("/nowhere/moelab-worker") != std::string::npos);
}
