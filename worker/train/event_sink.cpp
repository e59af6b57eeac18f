#include "worker/train/event_sink.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <optional>
#include <string>
#include <utility>

#include "core/clock.h"
#include "core/error.h"
#include "worker/data/durable_file.h"

namespace moelab::worker {
namespace {

using core::Error;
using core::ErrorKind;

[[noreturn]] void fail(const std::filesystem::path& file, const char* action) {
  throw Error(ErrorKind::storage, file.string() + ": cannot " + action + ": " + std::strerror(errno));
}

std::string read_tail(int fd, const std::filesystem::path& file, off_t size, off_t bytes) {
  std::string tail(static_cast<std::size_t>(bytes), '\0');
  if (::pread(fd, tail.data(), tail.size(), size - bytes) != static_cast<ssize_t>(bytes)) fail(file, "read");
  return tail;
}

std::optional<core::Event> last_event_in(const std::string& lines) {
  std::size_t end = lines.size();
  while (end > 0) {
    const std::size_t newline = end >= 2 ? lines.rfind('\n', end - 2) : std::string::npos;
    const std::size_t begin = newline == std::string::npos ? 0 : newline + 1;
    try {
      return core::decode(lines.substr(begin, end - begin));
    } catch (const Error&) {
      end = begin;  // torn or foreign: the one before
    }
  }
  return std::nullopt;
}

// The last line that is an event, reading no more of the file than needed.
std::optional<core::Event> last_event(int fd, const std::filesystem::path& file, off_t size) {
  for (off_t bytes = std::min<off_t>(size, 64 << 10); bytes > 0; bytes = std::min(size, bytes * 8)) {
    if (auto event = last_event_in(read_tail(fd, file, size, bytes))) return event;
    if (bytes == size) break;
  }
  return std::nullopt;
}

}  // namespace

EventSink::EventSink(const std::filesystem::path& run_dir, int attempt)
    : file_(run_dir / "events.jsonl"), attempt_(attempt), fd_(::open(file_.c_str(), O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0644)) {
  if (fd_ < 0) fail(file_, "open");
  try {
    if (::flock(fd_, LOCK_EX | LOCK_NB) != 0) {
      if (errno != EWOULDBLOCK) fail(file_, "lock");
      throw Error(ErrorKind::conflict, file_.string() + ": another worker is training this run; wait for it or cancel it");
    }
    struct stat status {};
    if (::fstat(fd_, &status) != 0) fail(file_, "read");
    if (status.st_size > 0) {
      if (read_tail(fd_, file_, status.st_size, 1) != "\n") write_all(fd_, "\n", file_);
      const auto last = last_event(fd_, file_, status.st_size);
      if (last && last->attempt == attempt_) seq_ = last->seq;
    }
  } catch (...) {
    ::close(fd_);
    throw;
  }
}

EventSink::~EventSink() {
  ::close(fd_);
}

void EventSink::emit(core::EventType type, std::int64_t step, nlohmann::json payload) {
  core::Event event;
  event.seq = seq_ + 1;
  event.attempt = attempt_;
  event.step = step;
  event.time = core::to_rfc3339(std::chrono::system_clock::now());
  event.type = type;
  event.payload = std::move(payload);
  const std::string line = core::encode(event) + "\n";
  struct stat before {};
  if (::fstat(fd_, &before) != 0) fail(file_, "read");
  try {
    write_all(fd_, line, file_);
  } catch (...) {
    // A full disk takes a part of the line. Nobody else writes here (the lock), so cutting it off loses nothing; where that fails,
    // the next attempt ends the torn line.
    [[maybe_unused]] const int cut = ::ftruncate(fd_, before.st_size);
    throw;
  }
  seq_ = event.seq;
}

void EventSink::sync() {
  if (::fsync(fd_) != 0) fail(file_, "flush to disk");
}

}  // namespace moelab::worker
