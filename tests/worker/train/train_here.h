// Owns training a small run inside the test's own process. Used by the tests of the trainer and of the methods.
#pragma once

#include <cmath>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "tests/worker/train/small_run.h"
#include "worker/data/data_source.h"
#include "worker/data/token_frequency.h"
#include "worker/train/initial_weights.h"
#include "worker/train/routing_artifacts.h"
#include "worker/train/trainer.h"

namespace moelab::worker::test {

inline TrainingData load(const core::RunConfig& config, const TemporaryDirectory& dir) {
  return load_training_data(config, dir.path() / "cache", 1,
                            {[](std::string_view, std::int64_t, std::int64_t) {}, [](const std::string&) {}});
}

struct Outcome {
  TrainingEnd end;
  std::vector<double> losses;
  std::map<std::string, double> values;
  int pieces_of_work = 0;
  bool device_kind_changed = false;
};

// Trains in this process, journal and checkpoints in <dir>/<name>; goes on from the newest checkpoint there.
// change: what is done to that checkpoint first. stop_after: how many times the trainer may ask whether to stop before it is told to.
inline Outcome train(const core::RunConfig& config, const TemporaryDirectory& dir, const std::string& name, int attempt = 1,
                     int stop_after = 1 << 30, std::int64_t micro_batch_divisor = 1,
                     const std::function<void(Checkpoint&)>& change = [](Checkpoint&) {}) {
  const std::filesystem::path run_dir = dir.path() / name;
  std::filesystem::create_directories(run_dir);
  const TrainingData data = load(config, dir);
  EventSink events(run_dir, attempt);
  CheckpointStore checkpoints(run_dir, config.checkpoint);
  LanguageModel model(config);
  model.set_token_frequency(token_frequency(data.train, config.model.vocab_size));
  load_initial_weights(model, config);
  RoutingArtifacts artifacts(config, data, events, run_dir);
  int asked = 0, pieces_of_work = 0;
  Trainer trainer({.config = config,
                   .model = model,
                   .train = data.train,
                   .val = data.val,
                   .events = events,
                   .checkpoints = checkpoints,
                   .tokenizer = "",
                   .stop_requested = [&] { return ++asked > stop_after; },
                   .last_evaluation = [&](std::int64_t step, const RoutingShares& domains) { artifacts.write(step, model, domains); },
                   .micro_batch_divisor = micro_batch_divisor,
                   .work_done = [&] { ++pieces_of_work; }});
  if (auto checkpoint = checkpoints.newest_good([](const std::string&) {})) {
    change(*checkpoint);
    trainer.resume(*checkpoint);
  }
  const TrainingEnd end = trainer.run();
  Outcome outcome{end, {}, trainer.last_values(), pieces_of_work, trainer.device_kind_changed()};
  for (const auto& event : events_of(run_dir, core::EventType::metrics)) {
    const auto& loss = event.payload["values"]["train/loss"];
    outcome.losses.push_back(loss.is_number() ? loss.get<double>() : std::nan(""));
  }
  return outcome;
}

}  // namespace moelab::worker::test
