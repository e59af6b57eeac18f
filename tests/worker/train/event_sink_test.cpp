// EventSink: numbering over attempts, one writer, whole lines, healing a torn end.
#include "worker/train/event_sink.h"

#include <doctest/doctest.h>

#include "core/error.h"
#include "tests/worker/data/file_size_limit.h"
#include "tests/worker/train/small_run.h"

namespace moelab::worker {
namespace {

using core::EventType;
using test::error_of;
using test::read_events;
using test::read_file;
using test::TemporaryDirectory;

TEST_CASE("events are numbered within an attempt, and an attempt that opens again goes on counting") {
  const TemporaryDirectory dir;
  {
    EventSink sink(dir.path(), 1);
    sink.emit(EventType::log, 0, {{"message", "a"}});
    sink.emit(EventType::metrics, 3, {{"values", {{"train/loss", 0.1}}}});
  }
  EventSink(dir.path(), 1).emit(EventType::log, 4, {{"message", std::string(200000, 'x')}});
  EventSink(dir.path(), 1).emit(EventType::log, 5, {{"message", "after a long line"}});
  EventSink(dir.path(), 2).emit(EventType::log, 3, {{"message", "next attempt"}});
  const auto events = read_events(dir.path());
  REQUIRE(events.size() == 5);
  std::vector<std::int64_t> seq;
  for (const auto& event : events) seq.push_back(event.seq);
  CHECK(seq == std::vector<std::int64_t>{1, 2, 3, 4, 1});
  CHECK(events[4].attempt == 2);
  CHECK(events[1].payload["values"]["train/loss"] == 0.1);
}

TEST_CASE("a line torn by a crash is closed, and nothing is lost around it") {
  const TemporaryDirectory dir;
  EventSink(dir.path(), 1).emit(EventType::log, 1, {{"message", "whole"}});
  const std::string before = read_file(dir.path() / "events.jsonl");
  std::ofstream(dir.path() / "events.jsonl", std::ios::app) << "{\"v\":1,\"seq\":2,\"att";
  EventSink(dir.path(), 1).emit(EventType::log, 2, {{"message", "after"}});
  std::ifstream in(dir.path() / "events.jsonl");
  std::vector<std::string> lines;
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  REQUIRE(lines.size() == 3);
  CHECK(lines[0] + "\n" == before);
  CHECK(lines[1] == "{\"v\":1,\"seq\":2,\"att");
  const core::Event after = core::decode(lines[2]);
  CHECK(after.seq == 2);
  CHECK(after.payload["message"] == "after");
}

TEST_CASE("a run has one writer") {
  const TemporaryDirectory dir;
  const EventSink first(dir.path(), 1);
  CHECK(error_of([&] { EventSink(dir.path(), 2); }).find("another worker is training this run") != std::string::npos);
}

TEST_CASE("a journal that cannot be written is an error, not silence") {
  const TemporaryDirectory dir;
  CHECK(error_of([&] { EventSink(dir.path() / "none", 1); }).find("events.jsonl: cannot open: No such file") != std::string::npos);
  std::filesystem::create_symlink("/dev/full", dir.path() / "events.jsonl");
  EventSink full(dir.path(), 1);
  CHECK(error_of([&] { full.emit(EventType::log, 0, {}); }).find("No space left on device; free some space") != std::string::npos);
}

TEST_CASE("a disk that fills up in the middle of a line leaves no part of it, and the next event has its number") {
  const TemporaryDirectory dir;
  EventSink sink(dir.path(), 1);
  sink.emit(EventType::log, 1, {{"message", "whole"}});
  const std::string before = read_file(dir.path() / "events.jsonl");
  {
    const test::FileSizeLimit limit(before.size() + 50);
    const std::string error = error_of([&] { sink.emit(EventType::log, 2, {{"message", std::string(200, 'x')}}); });
    CHECK(error.find("File too large") != std::string::npos);
    CHECK(read_file(dir.path() / "events.jsonl") == before);
  }
  sink.emit(EventType::log, 3, {{"message", "after"}});
  const auto events = read_events(dir.path());
  REQUIRE(events.size() == 2);
  CHECK(events[1].seq == 2);
  CHECK(events[1].step == 3);
}

}  // namespace
}  // namespace moelab::worker
