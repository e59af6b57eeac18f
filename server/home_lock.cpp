#include "server/home_lock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string>

#include "core/error.h"
#include "server/file_io.h"
#include "server/paths.h"

namespace moelab::server {

HomeLock::HomeLock(const std::filesystem::path& home) {
  create_directories_or_throw(home);
  const std::filesystem::path file = HomePaths(home).lock();
  fd_ = ::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  if (fd_ < 0) {
    throw core::Error(core::ErrorKind::storage, home.string() + ": the home directory is not writable: " + std::strerror(errno) +
                                                    ". Check its permissions, or set MOELAB_HOME");
  }
  if (::flock(fd_, LOCK_EX | LOCK_NB) != 0) {
    const std::string holder = read_file(file);
    ::close(fd_);
    throw core::Error(core::ErrorKind::conflict, home.string() + ": another daemon (process " + (holder.empty() ? "?" : holder) +
                                                     ") uses this home. Talk to that one, stop it, or set MOELAB_HOME");
  }
  const std::string pid = std::to_string(::getpid());
  if (::ftruncate(fd_, 0) != 0 || ::pwrite(fd_, pid.data(), pid.size(), 0) < 0) {
    const int error = errno;
    ::close(fd_);
    throw core::Error(core::ErrorKind::storage,
                      file.string() + " cannot be written: " + std::strerror(error) + ". Free some space, or set MOELAB_HOME");
  }
}

HomeLock::~HomeLock() {
  ::close(fd_);
}

}  // namespace moelab::server
