#include "server/slurm/command.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <sstream>

#include "core/error.h"

namespace moelab::server {
namespace {

constexpr std::size_t kMostOutput = 16u << 20;

[[noreturn]] void fail(const std::string& program, int error) {
  throw core::Error(core::ErrorKind::storage, program + " cannot be started: " + std::strerror(error));
}

// A file descriptor that closes itself.
class Descriptor {
 public:
  explicit Descriptor(int fd = -1) : fd_(fd) {}
  ~Descriptor() { close(); }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int get() const { return fd_; }
  void reset(int fd) {
    close();
    fd_ = fd;
  }
  void close() {
    if (fd_ >= 0) ::close(fd_);
    fd_ = -1;
  }

 private:
  int fd_;
};

struct Pipe {
  Descriptor read, write;
};

void open_pipe(Pipe& pipe, const std::string& program) {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) fail(program, errno);
  pipe.read.reset(ends[0]);
  pipe.write.reset(ends[1]);
  ::fcntl(ends[0], F_SETFL, O_NONBLOCK);
}

// What is there to read now; closes the pipe at its end.
void drain(Descriptor& from, std::string& into) {
  std::array<char, 65536> buffer{};
  while (from.get() >= 0) {
    const ssize_t got = ::read(from.get(), buffer.data(), buffer.size());
    if (got > 0) {
      into.append(buffer.data(), std::min(static_cast<std::size_t>(got), kMostOutput - std::min(kMostOutput, into.size())));
    } else if (got == 0) {
      from.close();
    } else if (errno != EINTR) {
      return;
    }
  }
}

std::vector<char*> pointers(const std::vector<std::string>& texts) {
  std::vector<char*> list;
  for (const std::string& text : texts) list.push_back(const_cast<char*>(text.c_str()));  // execve(2) does not write to them
  list.push_back(nullptr);
  return list;
}

// In a process group of its own, so that Ctrl-C in the daemon's terminal does not reach it and a kill reaches its children.
pid_t start(const std::filesystem::path& program, const std::vector<std::string>& arguments, const std::vector<std::string>& environment,
            const Pipe& output, const Pipe& errors) {
  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  ::posix_spawn_file_actions_adddup2(&actions, output.write.get(), STDOUT_FILENO);
  ::posix_spawn_file_actions_adddup2(&actions, errors.write.get(), STDERR_FILENO);
  ::posix_spawn_file_actions_addclosefrom_np(&actions, STDERR_FILENO + 1);
  posix_spawnattr_t attributes;
  ::posix_spawnattr_init(&attributes);
  sigset_t none, defaults;
  ::sigemptyset(&none);
  ::sigemptyset(&defaults);
  for (const int number : {SIGTERM, SIGINT, SIGHUP, SIGPIPE, SIGCHLD}) ::sigaddset(&defaults, number);
  ::posix_spawnattr_setsigmask(&attributes, &none);
  ::posix_spawnattr_setsigdefault(&attributes, &defaults);
  ::posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP);
  const std::vector<char*> argv = pointers(arguments), envp = pointers(environment);
  pid_t pid = 0;
  const int error = ::posix_spawn(&pid, program.c_str(), &actions, &attributes, argv.data(), envp.data());
  ::posix_spawnattr_destroy(&attributes);
  ::posix_spawn_file_actions_destroy(&actions);
  if (error != 0) fail(program.string(), error);
  return pid;
}

}  // namespace

CommandResult run_command(const std::vector<std::string>& arguments, const std::vector<std::string>& environment,
                          std::chrono::milliseconds timeout) {
  const std::optional<std::filesystem::path> program = find_program(arguments.at(0));
  if (!program) throw core::Error(core::ErrorKind::not_found, arguments[0] + " is not in the PATH of the daemon");
  Pipe output, errors;
  open_pipe(output, arguments[0]);
  open_pipe(errors, arguments[0]);
  const pid_t pid = start(*program, arguments, environment, output, errors);
  output.write.close();
  errors.write.close();

  // Waits for the process itself, not for the end of its pipes: a grandchild may keep those open.
  const Descriptor process(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
  CommandResult result;
  const auto deadline = std::chrono::steady_clock::now() + timeout;
  for (bool ended = process.get() < 0; !ended;) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
    if (left.count() <= 0) {
      result.timed_out = true;
      ::kill(-pid, SIGKILL);
      break;
    }
    std::array<pollfd, 3> watched{{{process.get(), POLLIN, 0}, {output.read.get(), POLLIN, 0}, {errors.read.get(), POLLIN, 0}}};
    ::poll(watched.data(), watched.size(), static_cast<int>(left.count()));
    drain(output.read, result.output);
    drain(errors.read, result.errors);
    ended = (watched[0].revents & POLLIN) != 0;
  }
  int status = 0;
  while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  drain(output.read, result.output);
  drain(errors.read, result.errors);
  if (WIFEXITED(status)) result.exit_code = WEXITSTATUS(status);
  return result;
}

std::optional<std::filesystem::path> find_program(const std::string& name) {
  if (name.find('/') != std::string::npos) {
    if (::access(name.c_str(), X_OK) != 0) return std::nullopt;
    return std::filesystem::path(name);
  }
  const char* path = std::getenv("PATH");
  std::istringstream folders(path ? path : "/usr/local/bin:/usr/bin:/bin");
  for (std::string folder; std::getline(folders, folder, ':');) {
    const std::filesystem::path candidate = std::filesystem::path(folder.empty() ? "." : folder) / name;
    std::error_code ignored;
    if (::access(candidate.c_str(), X_OK) == 0 && std::filesystem::is_regular_file(candidate, ignored)) return candidate;
  }
  return std::nullopt;
}

}  // namespace moelab::server
