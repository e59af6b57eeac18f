#include "worker/data/output_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string>
#include <utility>

#include "core/error.h"

namespace moelab::worker {

OutputFile::OutputFile(const std::filesystem::path& file) : file_(file), temporary_(file.string() + ".tmp") {
  fd_ = ::open(temporary_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (fd_ < 0) fail(errno);
}

OutputFile::~OutputFile() {
  if (fd_ < 0) return;
  ::close(fd_);
  ::unlink(temporary_.c_str());
}

void OutputFile::write(const void* data, std::size_t size) {
  const char* at = static_cast<const char*>(data);
  while (size > 0) {
    const ssize_t written = ::write(fd_, at, size);
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) fail(errno);
    at += written;
    size -= static_cast<std::size_t>(written);
  }
}

void OutputFile::commit() {
  if (::fsync(fd_) != 0 || ::rename(temporary_.c_str(), file_.c_str()) != 0) fail(errno);
  ::close(std::exchange(fd_, -1));
}

void OutputFile::fail(int error) const {
  throw core::Error(core::ErrorKind::storage,
                    "cannot write " + file_.string() + ": " + std::strerror(error) + "; free space or check the permissions");
}

}  // namespace moelab::worker
