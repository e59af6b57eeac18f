// Owns what the service tells its callers: plain structs, no behaviour. Filled by run_service, turned to JSON by
// server/http and to tables by server/cli. Absent values are std::nullopt; times are UTC.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/clock.h"
#include "core/run_state.h"
#include "server/queue_mode.h"

namespace moelab::server {

using RunId = std::int64_t;
using ExperimentId = std::int64_t;
using OptionalTime = std::optional<core::TimePoint>;
// Dotted knob -> value, in the order knobs are shown to people.
using KnobValues = std::vector<std::pair<std::string, nlohmann::json>>;

// A run under one of its names: a run with one key trains once and may be listed by several experiments.
struct AliasView {
  ExperimentId experiment_id = 0;
  std::string experiment;
  std::string name;
};

// What the worker does before its first step (tokenising, training a tokenizer), in bytes.
struct PhaseView {
  std::string name;
  std::int64_t done = 0;
  std::int64_t total = 0;
};

struct RunView {
  RunId id = 0;
  std::string name;                // its name in `experiment`
  std::vector<AliasView> aliases;  // every listing of the run, the one above included
  std::string experiment;          // empty when no experiment lists the run any more
  std::optional<ExperimentId> experiment_id;
  std::string matrix;
  std::string key;
  core::RunState state = core::RunState::queued;
  std::string reason;   // why it is in this state: one sentence, empty when there is nothing to say
  std::string waiting;  // of a queued run: what it waits for
  std::optional<int> exit_code;
  std::optional<int> signal;
  int attempt = 0;              // launches so far
  int restarts = 0;             // launches after a crash since the run was last queued by a person
  std::int64_t step = 0;        // optimiser steps completed
  std::int64_t max_steps = 0;   // 0 until known
  double progress = 0;          // [0, 1]
  std::optional<double> eta_s;  // of a run that trains
  std::optional<PhaseView> phase;
  std::map<std::string, double> metrics;  // latest value by name, without the per-layer series
  std::string device;                     // "cpu0", "gpu1"; empty while none is held
  std::optional<std::int64_t> pid;
  int priority = 0;
  bool archived = false;
  std::string baseline;  // name of the run it is compared with; empty = none
  bool is_baseline = false;
  std::vector<std::string> tags;
  std::int64_t seed = 0;
  std::int64_t total_parameters = 0;
  std::int64_t active_parameters = 0;
  double flops_per_token = 0;
  double tokens = 0;  // tokens the whole run trains on; 0 until known
  OptionalTime queued_at;
  OptionalTime started_at;  // of the first attempt
  OptionalTime finished_at;
  double runtime_s = 0;  // with a worker alive, over all attempts
  KnobValues varied;     // knobs that differ from the baseline run, or within the experiment if it has none
};

struct RunEventView {
  core::TimePoint time;
  std::string from;  // empty for the first
  std::string to;
  std::string reason;
};

struct AlertView {
  core::TimePoint time;
  int attempt = 0;
  std::int64_t step = 0;
  std::string code;
  std::string message;
};

struct ArtifactView {
  std::string name;
  std::string kind;
  std::string path;  // relative to the run directory
  std::int64_t bytes = 0;
};

struct ArtifactFile {
  std::string kind;
  std::filesystem::path file;  // absolute, inside the run directory; may not exist any more
};

struct CheckpointView {
  std::int64_t step = 0;
  std::string path;  // relative to the run directory
  bool best = false;
};

struct RunDetail {
  RunView run;
  nlohmann::json config;  // nested, every knob
  std::string notes;
  std::string run_dir;  // absolute
  std::vector<RunEventView> events;
  std::vector<AlertView> alerts;  // oldest first
  std::vector<ArtifactView> artifacts;
  std::vector<CheckpointView> checkpoints;
  nlohmann::json
      provenance;  // of the latest attempt: host, device, threads, libtorch, code_version, resumed_from_step; {} before the first
};

struct RunPage {
  std::vector<RunView> runs;
  std::int64_t total = 0;                  // matches over all pages
  std::optional<std::string> next_cursor;  // give it back in RunQuery::cursor
};

// What a verb did to several runs.
struct VerbResult {
  struct Skipped {
    RunId id = 0;
    std::string reason;
  };
  std::vector<RunView> runs;  // as they are now
  std::vector<Skipped> skipped;
};

struct QueueView {
  QueueMode mode;
  std::int64_t total = 0;     // queued runs
  std::int64_t live = 0;      // runs with a worker
  std::vector<RunView> runs;  // the first of the queue, in the order of their turn
};

struct ExperimentView {
  ExperimentId id = 0;
  std::string name;
  std::string matrix;
  std::string profile;
  std::string notes;
  std::vector<std::string> tags;
  std::string baseline;  // empty = none
  core::TimePoint created_at;
  bool archived = false;  // every one of its runs is, and it has some
  std::string state;                           // queued | running | paused | completed | failed | cancelled
  double progress = 0;                         // [0, 1]
  std::map<std::string, std::int64_t> counts;  // every state name -> members in it
  std::int64_t total = 0;
  std::optional<double> eta_s;
  std::string source;  // name of the YAML file it came from
};

struct ResultRow {
  std::string name;
  RunId run_id = 0;
  core::RunState state = core::RunState::queued;
  std::int64_t seed = 0;
  bool is_baseline = false;
  std::map<std::string, double> values;  // latest value by metric name, as RunView::metrics
  std::optional<double> delta;           // eval/loss minus that of the baseline run with the same seed
  std::optional<double> delta_pct;       // the same in percent of the baseline's
  double runtime_s = 0;
  std::int64_t total_parameters = 0;
  std::int64_t active_parameters = 0;
  KnobValues varied;
};

struct ResultTable {
  std::string baseline;  // empty = none
  std::string metric = "eval/loss";
  std::vector<ResultRow> rows;  // in the order of the file
};

struct SubmitResult {
  std::vector<ExperimentView> experiments;
  std::int64_t created = 0;   // runs that are new or were asked to train again
  std::int64_t reused = 0;    // runs that were there already
  std::vector<RunView> runs;  // every member, in file order, under its name in its experiment
};

struct SeriesView {
  std::string key;
  std::vector<std::pair<std::int64_t, double>> points;  // by ascending step; minima and maxima survive thinning
  std::int64_t total_points = 0;                        // before thinning
};

// Frames of one run. All frames share layers, slots and experts.
struct ExpertLoadView {
  std::vector<std::int64_t> layers;  // ids of the MoE layers shown
  std::int64_t slots = 0;            // K
  std::int64_t experts = 0;          // E
  struct Frame {
    std::int64_t step = 0;
    std::vector<std::int64_t> counts;  // [layer][slot][expert] row-major, assignments before capacity drops
  };
  std::vector<Frame> frames;
  std::int64_t total_frames = 0;  // before thinning
};

struct DeviceProcessView {
  std::int64_t pid = 0;
  std::string user;
  std::string command;
  std::optional<double> memory_mb;
  bool own = false;  // a worker of this daemon, or a child of one
};

struct DeviceRunView {
  RunId id = 0;
  std::string name;
};

struct DeviceView {
  std::string id;    // "gpu0", "cpu1"
  std::string kind;  // "gpu" | "cpu"
  std::string name;
  int index = 0;
  std::string uuid;  // empty for a CPU slot
  int threads = 0;        // CPU threads a worker on it gets
  std::vector<int> cpus;  // of a CPU slot: the CPUs its worker is pinned to; empty = any
  std::optional<double> memory_total_mb;
  std::optional<double> memory_used_mb;
  std::optional<double> utilization_pct;
  std::optional<double> temperature_c;
  std::optional<double> power_w;
  std::string state;                // to_string(DeviceState)
  std::string note;                 // one sentence: why it is not free; of a leased one: what is amiss with it
  std::vector<DeviceRunView> runs;  // that hold it; more than one share it
  OptionalTime since;               // the oldest of them
  std::vector<DeviceProcessView> processes;
};

struct DevicesView {
  std::string inventory;  // "nvml" | "cpu"
  std::string note;       // why there are no GPUs, or which pool is set
  std::vector<DeviceView> devices;
};

struct HealthView {
  std::string version;
  double uptime_s = 0;
  std::string home;
  std::map<std::string, std::int64_t> runs;  // every state name -> runs in it
  std::int64_t devices_total = 0;
  std::int64_t devices_free = 0;
};

}  // namespace moelab::server
