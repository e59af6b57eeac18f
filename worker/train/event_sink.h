// Owns the journal of a run, runs/<id>/events.jsonl (format: core/event.h), and this process's exclusive right to write it.
// Called by the trainer and main(). An event is one whole line, written at once by one write(2): a reader never waits and
// never sees half of one, except for a last line torn by a crash of the machine, which the next attempt closes.
#pragma once

#include <cstdint>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "core/event.h"

namespace moelab::worker {

class EventSink {
 public:
  // Opens or creates <run_dir>/events.jsonl. Numbers go on after those this attempt has already written. Throws
  // Error(conflict) when another process is writing it, Error(storage) when it cannot be written.
  EventSink(const std::filesystem::path& run_dir, int attempt);
  ~EventSink();
  EventSink(const EventSink&) = delete;
  EventSink& operator=(const EventSink&) = delete;

  // Throws Error(storage) when the disk is full, or gone; the part of the line that was written is taken back.
  void emit(core::EventType type, std::int64_t step, nlohmann::json payload);
  // What was emitted survives a crash of the machine. Called with every checkpoint and at the end.
  void sync();

 private:
  std::filesystem::path file_;
  int attempt_;
  std::int64_t seq_ = 0;
  int fd_;
};

}  // namespace moelab::worker
