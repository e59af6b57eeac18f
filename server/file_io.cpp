#include "server/file_io.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <iterator>

#include "core/error.h"

namespace moelab::server {
namespace {

bool write_all(int fd, const std::string& content) {
  for (std::size_t done = 0; done < content.size();) {
    const ssize_t written = ::write(fd, content.data() + done, content.size() - done);
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return false;
    done += static_cast<std::size_t>(written);
  }
  return true;
}

// `synced`: returns only when the content is on the disk.
void write_new(const std::filesystem::path& file, const std::string& content, unsigned mode, bool synced) {
  const int fd = ::open(file.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);
  if (fd < 0) throw_file_error(file, "cannot be written", errno);
  const bool written = write_all(fd, content) && (!synced || ::fsync(fd) == 0);
  const int error = errno;
  ::close(fd);
  if (written) return;
  ::unlink(file.c_str());
  throw_file_error(file, "cannot be written", error);
}

}  // namespace

void throw_file_error(const std::filesystem::path& file, const char* what, int error) {
  throw core::Error(core::ErrorKind::storage,
                    file.string() + ": " + what + ": " + std::strerror(error) + ". Check permissions and free space, or set MOELAB_HOME");
}

void write_file(const std::filesystem::path& file, const std::string& content) {
  write_new(file, content, 0644, false);
}

void write_file_atomically(const std::filesystem::path& file, const std::string& content, unsigned mode) {
  const std::string temporary = file.string() + ".tmp" + std::to_string(::getpid());
  write_new(temporary, content, mode, true);
  if (::rename(temporary.c_str(), file.c_str()) == 0) return;
  const int error = errno;
  ::unlink(temporary.c_str());
  throw_file_error(file, "cannot be written", error);
}

std::string read_file(const std::filesystem::path& file) {
  std::ifstream in(file, std::ios::binary);
  if (!in) throw_file_error(file, "cannot be read", errno);
  return {std::istreambuf_iterator<char>(in), {}};
}

void create_directories_or_throw(const std::filesystem::path& directory) {
  std::error_code error;
  std::filesystem::create_directories(directory, error);
  if (error) throw_file_error(directory, "cannot be created", error.value());
}

}  // namespace moelab::server
