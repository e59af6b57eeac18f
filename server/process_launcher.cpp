#include "server/process_launcher.h"

#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "core/error.h"
#include "server/process_info.h"

namespace moelab::server {
namespace {

constexpr int kGateFd = 3;  // where the child keeps the read end, just above the standard streams
constexpr int kExitNotStarted = 127;

[[noreturn]] void fail(const std::string& what) {
  throw core::Error(core::ErrorKind::storage, "a worker cannot be started: " + what + ": " + std::strerror(errno));
}

// By UUID where it is known: CUDA does not count a GPU that has fallen off the bus, NVML does, so their indices may differ.
std::string visible_devices(const LaunchRequest& request) {
  if (request.kind != DeviceKind::gpu) return "";
  return request.gpu_uuid.empty() ? std::to_string(request.gpu_index) : request.gpu_uuid;
}

// Where the worker may run; nothing = wherever the daemon may. One that was given more threads than its slot has CPUs is better
// off unpinned.
std::optional<cpu_set_t> affinity(const LaunchRequest& request) {
  if (request.cpus.empty() || static_cast<std::size_t>(request.threads) > request.cpus.size()) return std::nullopt;
  cpu_set_t set;
  CPU_ZERO(&set);
  for (const int cpu : request.cpus) CPU_SET(cpu, &set);
  return set;
}

// The daemon's environment without its own secrets, plus what a job sees.
std::vector<std::string> make_environment(const LaunchRequest& request) {
  const std::string threads = std::to_string(request.threads);
  const std::vector<std::pair<std::string, std::string>> added{
      {"CUDA_DEVICE_ORDER", "PCI_BUS_ID"},
      {"CUDA_VISIBLE_DEVICES", visible_devices(request)},
      {"MOELAB_RUN_ID", std::to_string(request.run_id)},
      {"MOELAB_RUN_DIR", request.run_dir.string()},
      {"MOELAB_ATTEMPT", std::to_string(request.attempt)},
      {"OMP_NUM_THREADS", threads},
      {"MKL_NUM_THREADS", threads},
  };
  std::vector<std::string> environment;
  for (char** entry = environ; *entry; ++entry) {
    const std::string_view text(*entry);
    const std::string_view name = text.substr(0, text.find('='));
    bool keep = name != "MOELAB_TOKEN";
    for (const auto& [added_name, value] : added) keep = keep && name != added_name;
    if (keep) environment.emplace_back(text);
  }
  for (const auto& [name, value] : added) environment.push_back(name + "=" + value);
  return environment;
}

std::vector<std::string> make_arguments(const std::filesystem::path& worker, const LaunchRequest& request) {
  return {worker.string(), "train",
          "--run-dir",     request.run_dir.string(),
          "--cache-dir",   request.cache_dir.string(),
          "--attempt",     std::to_string(request.attempt),
          "--device",      request.kind == DeviceKind::gpu ? "cuda" : "cpu",
          "--threads",     std::to_string(request.threads)};
}

std::vector<char*> pointers(std::vector<std::string>& texts) {
  std::vector<char*> list;
  for (std::string& text : texts) list.push_back(text.data());
  list.push_back(nullptr);
  return list;
}

// After fork in a program with threads: only async-signal-safe calls. Never returns.
[[noreturn]] void become_worker(int gate, int log, const cpu_set_t* cpus, const char* directory, char* const* arguments,
                                char* const* environment) {
  ::setsid();
  // CPUs may have been taken from the daemon since it divided them; the worker then runs unpinned.
  if (cpus) ::sched_setaffinity(0, sizeof *cpus, cpus);
  const int null = ::open("/dev/null", O_RDONLY);
  if (null < 0 || ::dup2(null, STDIN_FILENO) < 0 || ::dup2(log, STDOUT_FILENO) < 0 || ::dup2(log, STDERR_FILENO) < 0 ||
      ::dup2(gate, kGateFd) < 0) {
    ::_exit(kExitNotStarted);
  }
  ::close_range(kGateFd + 1, ~0U, 0);
  // The daemon may block signals or ignore SIGPIPE; a worker starts with the defaults.
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  for (const int number : {SIGTERM, SIGINT, SIGHUP, SIGPIPE, SIGCHLD}) ::signal(number, SIG_DFL);
  char go = 0;
  ssize_t got = 0;
  do {
    got = ::read(kGateFd, &go, 1);
  } while (got < 0 && errno == EINTR);
  if (got != 1) ::_exit(kExitNotStarted);
  ::close(kGateFd);
  if (::chdir(directory) != 0) ::_exit(kExitNotStarted);
  ::execve(arguments[0], arguments, environment);
  constexpr std::string_view kMessage = "moelab-worker cannot be executed\n";
  [[maybe_unused]] const ssize_t written = ::write(STDERR_FILENO, kMessage.data(), kMessage.size());
  ::_exit(kExitNotStarted);
}

}  // namespace

ProcessLauncher::ProcessLauncher(std::filesystem::path worker) : worker_(std::move(worker)) {
  if (::access(worker_.c_str(), X_OK) != 0) {
    throw core::Error(core::ErrorKind::config,
                      worker_.string() + ": the worker executable is not there. Build it, or keep moelab-worker beside moelab");
  }
}

ProcessLauncher::~ProcessLauncher() {
  for (auto& [pid, child] : children_) {
    if (child.gate >= 0) ::close(child.gate);
    if (child.pidfd >= 0) ::close(child.pidfd);
  }
}

db::ProcessIdentity ProcessLauncher::spawn(const LaunchRequest& request) {
  // Everything that allocates happens before the fork.
  std::vector<std::string> arguments = make_arguments(worker_, request);
  std::vector<std::string> environment = make_environment(request);
  const std::vector<char*> argument_pointers = pointers(arguments);
  const std::vector<char*> environment_pointers = pointers(environment);
  const std::string directory = request.run_dir.string();
  const std::optional<cpu_set_t> cpus = affinity(request);

  const int log = ::open((request.run_dir / "worker.log").c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  if (log < 0) fail((request.run_dir / "worker.log").string() + " cannot be opened");
  std::array<int, 2> gate{};
  if (::pipe2(gate.data(), O_CLOEXEC) != 0) {
    ::close(log);
    fail("no pipe");
  }
  const pid_t pid = ::fork();
  if (pid == 0) {
    become_worker(gate[0], log, cpus ? &*cpus : nullptr, directory.c_str(), argument_pointers.data(), environment_pointers.data());
  }
  ::close(log);
  ::close(gate[0]);
  if (pid < 0) {
    ::close(gate[1]);
    fail("fork");
  }
  const std::optional<db::ProcessIdentity> process = identify(pid);
  if (!process) {
    ::close(gate[1]);
    ::waitpid(pid, nullptr, 0);
    fail("it left at once");
  }
  children_[pid] = Child{*process, gate[1], false, oom_kill_count(), std::nullopt, static_cast<int>(::syscall(SYS_pidfd_open, pid, 0))};
  return *process;
}

ProcessLauncher::Child* ProcessLauncher::child_of(const db::ProcessIdentity& process) {
  const auto found = children_.find(process.pid);
  return found != children_.end() && found->second.process == process ? &found->second : nullptr;
}

void ProcessLauncher::release(const db::ProcessIdentity& process) {
  Child* child = child_of(process);
  if (!child || child->gate < 0) return;
  const char go = 1;
  // Fails only when the child is gone already, which poll() will tell.
  [[maybe_unused]] const ssize_t written = ::write(child->gate, &go, 1);
  ::close(std::exchange(child->gate, -1));
}

std::optional<Exit> ProcessLauncher::poll(const db::ProcessIdentity& process) {
  Child* child = child_of(process);
  if (!child) {
    if (is_alive(process)) return std::nullopt;
    Exit gone;
    gone.rebooted = process.boot_id != boot_id();
    return gone;
  }
  if (child->exit) return child->exit;
  siginfo_t info{};
  const auto id = static_cast<id_t>(process.pid);
  if (::waitid(P_PID, id, &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid == 0) {
    child->oom_kills = oom_kill_count();
    return std::nullopt;
  }
  // Still a zombie, so its pid and group cannot be anybody else's: clear what it may have left behind.
  ::kill(-static_cast<pid_t>(process.pid), SIGKILL);
  int status = 0;
  while (::waitpid(static_cast<pid_t>(process.pid), &status, 0) < 0 && errno == EINTR) {
  }
  Exit exit;
  if (WIFEXITED(status)) exit.code = WEXITSTATUS(status);
  if (WIFSIGNALED(status)) exit.signal = WTERMSIG(status);
  exit.oom_killed = exit.signal == SIGKILL && !child->killed_by_us && oom_kill_count() > child->oom_kills;
  child->exit = exit;
  return exit;
}

void ProcessLauncher::forget(const db::ProcessIdentity& process) {
  if (Child* child = child_of(process)) {
    if (child->gate >= 0) {
      ::close(child->gate);
      while (!child->exit && ::waitpid(static_cast<pid_t>(process.pid), nullptr, 0) < 0 && errno == EINTR) {
      }
    }
    if (child->pidfd >= 0) ::close(child->pidfd);
    children_.erase(process.pid);
  }
}

bool ProcessLauncher::terminate(const db::ProcessIdentity& process) {
  const Child* child = child_of(process);
  if (child ? !child->exit : is_alive(process)) ::kill(static_cast<pid_t>(process.pid), SIGTERM);
  return true;
}

void ProcessLauncher::kill(const db::ProcessIdentity& process) {
  Child* child = child_of(process);
  if (child) child->killed_by_us = true;
  if (child ? !child->exit : is_alive(process)) ::kill(-static_cast<pid_t>(process.pid), SIGKILL);
}

void ProcessLauncher::wait_for_exit(std::chrono::milliseconds most) {
  std::vector<pollfd> watched;
  for (const auto& [pid, child] : children_) {
    if (child.pidfd >= 0 && !child.exit) watched.push_back({child.pidfd, POLLIN, 0});
  }
  ::poll(watched.data(), watched.size(), static_cast<int>(most.count()));
}

std::filesystem::path default_worker() {
  std::error_code ignored;
  return std::filesystem::read_symlink("/proc/self/exe", ignored).parent_path() / "moelab-worker";
}

}  // namespace moelab::server
