#include "server/file_batch.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <fstream>
#include <iterator>
#include <system_error>

#include "server/file_io.h"

namespace moelab::server {
namespace {

// From here on the disk is asked once for all of its file system.
constexpr std::size_t kFewFiles = 8;

bool holds(const std::filesystem::path& file, const std::string& content) {
  std::error_code missing;
  if (std::filesystem::file_size(file, missing) != content.size() || missing) return false;
  std::ifstream in(file, std::ios::binary);
  return std::string(std::istreambuf_iterator<char>(in), {}) == content;
}

void sync(const std::filesystem::path& file, int (&how)(int)) {
  const int fd = ::open(file.c_str(), O_RDONLY | O_CLOEXEC);
  const bool synced = fd >= 0 && how(fd) == 0;
  const int error = errno;
  if (fd >= 0) ::close(fd);
  if (!synced) throw_file_error(file, "cannot be written", error);
}

}  // namespace

FileBatch::~FileBatch() {
  std::error_code ignored;
  for (const auto& [file, temporary] : written_) std::filesystem::remove(temporary, ignored);
}

void FileBatch::add(const std::filesystem::path& file, const std::string& content) {
  const auto known = written_.find(file);
  if (known == written_.end() && holds(file, content)) return;
  const std::filesystem::path temporary = file.string() + ".new" + std::to_string(::getpid());
  written_[file] = temporary;
  write_file(temporary, content);
}

void FileBatch::put_in_place() {
  if (written_.size() > kFewFiles) {
    sync(written_.begin()->second, ::syncfs);
  } else {
    for (const auto& [file, temporary] : written_) sync(temporary, ::fsync);
  }
  while (!written_.empty()) {
    const auto& [file, temporary] = *written_.begin();
    if (::rename(temporary.c_str(), file.c_str()) != 0) throw_file_error(file, "cannot be written", errno);
    written_.erase(written_.begin());
  }
}

}  // namespace moelab::server
