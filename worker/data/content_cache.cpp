#include "worker/data/content_cache.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <fstream>
#include <optional>
#include <thread>

#include "core/error.h"
#include "core/sha256.h"
#include "worker/data/durable_file.h"
#include "worker/data/mapped_file.h"

namespace moelab::worker {
namespace {

namespace fs = std::filesystem;
using core::Error;
using core::ErrorKind;
using nlohmann::json;

constexpr int kCacheFormat = 1;
constexpr const char* kMeta = "meta.json";
constexpr std::chrono::milliseconds kLockPoll{200};

// Holds flock(2) on a file for its lifetime; the kernel releases it when the process dies, however it dies.
class FileLock {
 public:
  FileLock(const fs::path& file, const DataWatcher& watcher) : fd_(::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644)) {
    if (fd_ < 0) throw Error(ErrorKind::storage, file.string() + ": cannot create the lock file: " + std::strerror(errno));
    try {
      acquire(file, watcher);
    } catch (...) {
      ::close(fd_);
      throw;
    }
  }
  ~FileLock() { ::close(fd_); }
  FileLock(const FileLock&) = delete;
  FileLock& operator=(const FileLock&) = delete;

 private:
  void acquire(const fs::path& file, const DataWatcher& watcher) {
    if (::flock(fd_, LOCK_EX | LOCK_NB) == 0) return;
    watcher.notice("another worker is preparing the same data; waiting for it (" + file.string() + ")");
    watcher.progress("wait", 0, 0);
    // Asked again and again instead of blocking, so that the watcher hears of a worker that waits for long.
    while (::flock(fd_, LOCK_EX | LOCK_NB) != 0) {
      if (errno != EWOULDBLOCK && errno != EINTR) {
        throw Error(ErrorKind::storage, file.string() + ": cannot lock: " + std::strerror(errno));
      }
      watcher.progress("wait", 0, 0);
      std::this_thread::sleep_for(kLockPoll);
    }
  }

  int fd_;
};

// nullopt: no such entry. Error: there is one and it is damaged.
std::optional<json> verified_info(const fs::path& directory) {
  if (!fs::exists(directory)) return std::nullopt;
  const auto damaged = [&](const std::string& why) { throw Error(ErrorKind::data, directory.string() + " is damaged: " + why); };
  std::ifstream in(directory / kMeta);
  const json meta = json::parse(in, nullptr, false);
  if (!meta.is_object() || meta.value("format", 0) != kCacheFormat || !meta.contains("files") || !meta.contains("info")) {
    damaged("no valid meta.json");
  }
  for (const auto& [name, hash] : meta["files"].items()) {
    const auto found = core::sha256_of_file(directory / name);
    if (!found) damaged(name + " cannot be read");
    if (*found != hash) damaged(name + " does not match its hash");
  }
  return meta["info"];
}

// An entry's time of change says when it was last used; `moelab gc` goes by it. No entry yet: nothing happens.
void mark_used(const fs::path& directory) {
  ::utimensat(AT_FDCWD, directory.c_str(), nullptr, 0);
}

void seal(const fs::path& directory, const json& info) {
  json files = json::object();
  for (const auto& file : fs::directory_iterator(directory)) {
    sync_path(file.path());
    files[file.path().filename().string()] = core::sha256_hex(MappedFile(file.path()).text());
  }
  write_durably(directory / kMeta, json{{"format", kCacheFormat}, {"files", files}, {"info", info}}.dump(2) + "\n");
  sync_path(directory);
}

// Left behind by builders that crashed; the caller holds the lock of `name`, so nobody is using them.
void remove_leftovers(const fs::path& parent, const std::string& prefix) {
  for (const auto& item : fs::directory_iterator(parent)) {
    if (item.path().filename().string().rfind(prefix, 0) == 0) fs::remove_all(item.path());
  }
}

}  // namespace

CacheEntry ContentCache::get(const std::string& kind, const std::string& key, const DataWatcher& watcher,
                             const std::function<json(const fs::path&)>& build) const {
  const fs::path parent = root_ / kind;
  const fs::path directory = parent / key;
  const auto find = [&](bool report) -> std::optional<json> {
    try {
      return verified_info(directory);
    } catch (const std::exception& damage) {
      if (report) watcher.notice(std::string(damage.what()) + "; building it again");
      return std::nullopt;
    }
  };
  mark_used(directory);  // before anybody looks into it: what is marked now is not thrown away
  if (const auto info = find(false)) return {directory, *info, false};

  make_directories(parent);
  const FileLock lock(parent / (key + ".lock"), watcher);
  if (const auto info = find(true)) return {directory, *info, false};
  const std::string prefix = key + ".tmp.";
  remove_leftovers(parent, prefix);
  fs::remove_all(directory);
  const fs::path temporary = parent / (prefix + std::to_string(::getpid()));
  make_directories(temporary);
  try {
    const json info = build(temporary);
    seal(temporary, info);
    rename_durably(temporary, directory);
    return {directory, info, true};
  } catch (...) {
    std::error_code ignored;
    fs::remove_all(temporary, ignored);
    throw;
  }
}

}  // namespace moelab::worker
