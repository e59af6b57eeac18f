#include "worker/data/mapped_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <new>

#include "core/error.h"

namespace moelab::worker {
namespace {

[[noreturn]] void fail(const std::filesystem::path& file) {
  throw core::Error(core::ErrorKind::data, file.string() + ": cannot be read: " + std::strerror(errno));
}

}  // namespace

MappedFile::MappedFile(const std::filesystem::path& file) {
  const int fd = ::open(file.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) fail(file);
  struct stat status {};
  if (::fstat(fd, &status) != 0 || !S_ISREG(status.st_mode)) {
    if (errno == 0 || S_ISDIR(status.st_mode)) errno = EISDIR;
    ::close(fd);
    fail(file);
  }
  bytes_ = static_cast<std::size_t>(status.st_size);
  if (bytes_ > 0) {
    void* address = ::mmap(nullptr, bytes_, PROT_READ, MAP_SHARED, fd, 0);
    if (address == MAP_FAILED) {
      const int code = errno;
      ::close(fd);
      if (code == ENOMEM) throw std::bad_alloc();  // nothing is wrong with the file
      errno = code;
      fail(file);
    }
    data_ = static_cast<const std::byte*>(address);
  }
  ::close(fd);
}

MappedFile::~MappedFile() {
  if (data_ != nullptr) ::munmap(const_cast<std::byte*>(data_), bytes_);
}

}  // namespace moelab::worker
