// Owns the worker's journal format: runs/<id>/events.jsonl, one JSON object a line, append-only. Written by
// worker/event_sink, read by server/ingest. The journal is the truth; the database can be rebuilt from it.
//
// Common keys: "v" (format version), "seq" (1, 2, 3, ... within an attempt), "attempt" (1, 2, ...), "step" (optimiser
// steps completed), "time" (RFC 3339, UTC, ms), "type".
// The keys of the payload stand beside them; NaN and infinities are written as strings (json_number.h). Payload by type:
//   started      pid, host, device, threads, resumed_from_step (0 = fresh start), max_steps, total_parameters,
//                active_parameters, tokens_per_step, libtorch, code_version, micro_batch_divisor (1 = as configured)
//   progress     phase ("tokenize" | "train_tokenizer"), done, total       (bytes; before the first step)
//   metrics      values: {name: number}          train/... and perf/... names, see metric_catalog.h
//   eval         values: {name: number}          eval/... names
//   expert_load  layers [ids of MoE layers], slots K, experts E, counts [layer][slot][expert] flattened row-major,
//                int64 assignments before capacity drops, whole optimiser step
//   checkpoint   path (relative to the run directory), best (bool)
//   artifact     name, path (relative), kind
//   alert        code, message
//   log          level, message
//   finished     status ("completed" | "pruned" | "failed" | "preempted"), reason (ErrorKind name, rule that pruned it, or ""), message,
//                values: {final metrics}
// A resumed attempt starts with resumed_from_step = r: events of earlier attempts with step > r are superseded.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>

namespace moelab::core {

inline constexpr int kEventFormat = 1;

enum class EventType { started, progress, metrics, eval, expert_load, checkpoint, artifact, alert, log, finished };

struct Event {
  std::int64_t seq = 0;
  int attempt = 1;
  std::int64_t step = 0;
  std::string time;
  EventType type = EventType::log;
  nlohmann::json payload = nlohmann::json::object();
};

std::string to_string(EventType type);
// One line without the trailing newline. Throws Error(internal) when the payload uses a common key.
std::string encode(const Event& event);
// Throws Error(storage) for a line that is not an event of this format version.
Event decode(const std::string& line);

}  // namespace moelab::core
