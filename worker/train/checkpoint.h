// Owns the files of a checkpoint and which of them a run keeps. Written and resumed by the trainer; written by import; read by
// generation, scoring, export and train.init_from.
//
// <run_dir>/checkpoints/step_%08d/
//   moedl.json         configuration of the run
//   model.safetensors  weights and expert biases
//   tokenizer.model    if the run has a tokenizer
//   state.safetensors  optimiser moments, generators, unfinished counts
//   state.json         step, data position, last measurements
//   DONE               {"files": {name: SHA-256}}; written last
// The directory is built under another name, flushed to the disk and renamed when complete.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "core/config.h"
#include "worker/interop/safetensors.h"

namespace moelab::worker {

// Everything beside the weights that decides what the next step computes and what is reported.
struct TrainingState {
  std::int64_t step = 0;                         // optimiser steps completed
  std::int64_t data_position = 0;                // blocks consumed
  std::int64_t evaluated_step = 0;               // newest step whose evaluation is in the journal
  std::int64_t non_finite_steps = 0;             // consecutive, up to now
  std::string pruned_by, pruned_because;         // the early_stop rule that has ended the run, and its sentence
  std::map<std::string, std::int64_t> counters;  // of the optimiser and the controllers
  std::map<std::string, double> metrics, eval;   // newest measurements, for the final report
  TensorMap tensors;                             // "optimizer.*", "bias_controller.*", "load_meter.*", "rng.*"
};

struct Checkpoint {
  std::filesystem::path directory;
  core::RunConfig config;
  TensorMap weights;
  TrainingState state;
};

// Writes the files into `directory`, which exists and is empty, and flushes them. tokenizer: bytes of the model, empty for
// none. Throws Error(storage).
void write_checkpoint(const std::filesystem::path& directory, const core::RunConfig& config, const TensorMap& weights,
                      const TrainingState& state, const std::string& tokenizer);

// Checks every file against its hash. Throws Error(storage) naming the directory and what is wrong.
Checkpoint read_checkpoint(const std::filesystem::path& directory);

// The directory itself when it is a checkpoint, else the newest complete checkpoint of a run directory.
// nullopt when it is neither.
std::optional<std::filesystem::path> find_checkpoint(const std::filesystem::path& directory);

// Throws Error(config) naming the keys of `model` and `moe` in which the run differs from the checkpoint.
void check_architecture(const Checkpoint& checkpoint, const core::RunConfig& run);

class CheckpointStore {
 public:
  // Bytes that a checkpoint leaves to the journal and to others on the disk.
  static constexpr std::uint64_t kDiskReserve = 64 << 20;

  CheckpointStore(std::filesystem::path run_dir, const core::CheckpointConfig& keep);

  struct Saved {
    std::filesystem::path directory;
    bool best = false;  // evaluated at its own step, with the lowest eval/loss of those kept
  };
  // tokenizer: bytes of the model, empty for none. Removes what is no longer kept, but only after the new one is complete.
  // Throws Error(storage); then the older checkpoints are untouched.
  Saved save(const core::RunConfig& config, const TensorMap& weights, const TrainingState& state, const std::string& tokenizer);

  // Whether these would fit on the disk and leave kDiskReserve free. When they do not, what the new checkpoint would push out anyway is
  // dropped first (never the newest, never the best). Empty when they fit, else the sentence that says what is missing. Never throws.
  std::string why_no_room(const TensorMap& weights, const TrainingState& state, const std::string& tokenizer) const;

  // The newest one whose files are all intact; nullopt for a run that has none yet. Damaged ones that are newer are
  // reported through on_damaged and set aside (renamed to *.damaged). Throws Error(storage) when all are damaged.
  std::optional<Checkpoint> newest_good(const std::function<void(const std::string& message)>& on_damaged) const;

 private:
  void prune(std::size_t last) const;

  std::filesystem::path directory_;
  core::CheckpointConfig keep_;
};

}  // namespace moelab::worker
