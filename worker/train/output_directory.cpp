#include "worker/train/output_directory.h"

#include <unistd.h>

#include <string>
#include <system_error>

#include "core/error.h"
#include "worker/data/durable_file.h"
#include "worker/train/stop_signal.h"

namespace moelab::worker {
namespace {

// "DIR/" names DIR.
std::filesystem::path without_trailing_slash(const std::filesystem::path& directory) {
  const auto absolute = std::filesystem::absolute(directory).lexically_normal();
  return absolute.has_filename() ? absolute : absolute.parent_path();
}

}  // namespace

OutputDirectory::OutputDirectory(const std::filesystem::path& target) : target_(without_trailing_slash(target)) {
  std::error_code error;
  if (std::filesystem::exists(target_, error) && !(std::filesystem::is_directory(target_) && std::filesystem::is_empty(target_))) {
    throw core::Error(core::ErrorKind::usage, target_.string() + " exists and is not an empty directory; name a new one");
  }
  make_directories(target_.parent_path());
  temporary_ = target_;
  temporary_ += ".tmp-" + std::to_string(::getpid());
  std::filesystem::remove_all(temporary_, error);  // left by a killed process of the same number
  make_directories(temporary_);
}

OutputDirectory::~OutputDirectory() {
  std::error_code ignored;
  if (!committed_) std::filesystem::remove_all(temporary_, ignored);
}

void OutputDirectory::commit() {
  if (stop_requested()) throw core::Error(core::ErrorKind::usage, "interrupted; nothing was written");
  sync_path(temporary_);
  rename_durably(temporary_, target_);
  committed_ = true;
}

}  // namespace moelab::worker
