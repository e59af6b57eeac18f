// Owns a file system of a few megabytes (tmpfs) that a test can fill. Mounting needs root: without it mounted() is false and the test
// prints why it is skipped. Used by the tests of worker/train.
#pragma once

#include <sys/mount.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <string>

#include "tests/worker/data/temporary_directory.h"

namespace moelab::worker::test {

class SmallDisk {
 public:
  explicit SmallDisk(int megabytes) {
    const std::string size = "size=" + std::to_string(megabytes) + "m";
    if (::mount("tmpfs", directory_.path().c_str(), "tmpfs", 0, size.c_str()) != 0) why_not_ = std::strerror(errno);
  }
  ~SmallDisk() {
    if (mounted()) ::umount2(directory_.path().c_str(), MNT_DETACH);
  }
  SmallDisk(const SmallDisk&) = delete;
  SmallDisk& operator=(const SmallDisk&) = delete;

  bool mounted() const { return why_not_.empty(); }
  std::string skip_reason() const { return "skipped: a small disk cannot be mounted here (needs root): " + why_not_; }
  const TemporaryDirectory& directory() const { return directory_; }

  // Leaves about this many bytes free, 0 = none at all.
  void fill(std::uintmax_t leave) const {
    std::ofstream ballast(path(), std::ios::binary | std::ios::app);
    const std::string block(4096, 'x');
    while (std::filesystem::space(directory_.path()).available > leave && ballast.write(block.data(), 4096).flush()) {
    }
  }
  void empty() const { std::filesystem::remove(path()); }

 private:
  std::filesystem::path path() const { return directory_.path() / "ballast"; }

  TemporaryDirectory directory_;
  std::string why_not_;
};

}  // namespace moelab::worker::test
