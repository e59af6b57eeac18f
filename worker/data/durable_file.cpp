#include "worker/data/durable_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <string>
#include <system_error>

#include "core/error.h"

namespace moelab::worker {
namespace {

namespace fs = std::filesystem;

[[noreturn]] void fail(const fs::path& path, const char* action, int code) {
  std::string message = path.string() + ": cannot " + action + ": " + std::strerror(code);
  if (code == ENOSPC || code == EDQUOT) message += "; free some space and start the run again";
  throw core::Error(core::ErrorKind::storage, message);
}

}  // namespace

void sync_path(const fs::path& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) fail(path, "open", errno);
  const int code = ::fsync(fd) == 0 ? 0 : errno;
  ::close(fd);
  if (code != 0) fail(path, "flush to disk", code);
}

void write_all(int fd, std::string_view bytes, const fs::path& name) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(fd, bytes.data(), bytes.size());
    if (written < 0) {
      if (errno == EINTR) continue;
      fail(name, "write", errno);
    }
    bytes.remove_prefix(static_cast<std::size_t>(written));
  }
}

void write_durably(const fs::path& file, std::string_view bytes) {
  const int fd = ::open(file.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (fd < 0) fail(file, "create", errno);
  try {
    write_all(fd, bytes, file);
    if (::fsync(fd) != 0) fail(file, "flush to disk", errno);
  } catch (...) {
    ::close(fd);
    throw;
  }
  if (::close(fd) != 0) fail(file, "close", errno);
}

void rename_durably(const fs::path& from, const fs::path& to) {
  if (std::rename(from.c_str(), to.c_str()) != 0) fail(to, "rename into place", errno);
  sync_path(to.parent_path());
}

void make_directories(const fs::path& directory) {
  std::error_code error;
  fs::create_directories(directory, error);
  if (error) fail(directory, "create the directory", error.value());
}

}  // namespace moelab::worker
