#include "worker/train/train_run.h"

#include <ATen/Context.h>
#include <ATen/Parallel.h>
#include <c10/util/Exception.h>

#include <chrono>
#include <fstream>
#include <map>
#include <memory>
#include <new>
#include <nlohmann/json.hpp>
#include <utility>

#include "core/cost_model.h"
#include "core/error.h"
#include "core/micro_batch.h"
#include "core/run_spec.h"
#include "worker/data/data_source.h"
#include "worker/data/token_frequency.h"
#include "worker/train/checkpoint.h"
#include "worker/train/event_sink.h"
#include "worker/train/heartbeat.h"
#include "worker/train/initial_weights.h"
#include "worker/train/log.h"
#include "worker/train/provenance.h"
#include "worker/train/routing_artifacts.h"
#include "worker/train/stop_signal.h"
#include "worker/train/trainer.h"

namespace moelab::worker {
namespace {

namespace fs = std::filesystem;
using core::Error;
using core::ErrorKind;
using core::EventType;
using nlohmann::json;

// Thrown out of data preparation when a signal asks to leave; there is nothing to checkpoint yet.
struct StoppedEarly {};

struct RunFile {
  core::RunConfig config;
  std::int64_t micro_batch_divisor = 1;
};

RunFile read_run(const fs::path& run_dir) {
  const fs::path file = run_dir / "run.json";
  std::ifstream in(file);
  if (!in) throw Error(ErrorKind::config, file.string() + ": cannot be read; --run-dir needs a directory with a run.json");
  const json parsed = json::parse(in, nullptr, false);
  if (!parsed.is_object()) throw Error(ErrorKind::config, file.string() + ": not a JSON object");
  RunFile run{core::run_spec_from_json(parsed, file.string()).config};
  run.micro_batch_divisor = core::micro_batch_divisor(parsed, run.config, file.string());
  return run;
}

// What a person must know who compares a divided run with others.
std::string describe_division(const core::RunConfig& config, std::int64_t divisor) {
  const std::int64_t micro_batches = config.train.grad_accum * divisor;
  std::string text = "the run was out of memory: a step is now computed in " + std::to_string(micro_batches) + " micro-batches of " +
                     std::to_string(config.train.batch_size / micro_batches) + " sequences instead of " +
                     std::to_string(config.train.grad_accum) + " of " +
                     std::to_string(config.train.batch_size / config.train.grad_accum) + "; the optimiser's batch stays the same";
  std::string knobs;
  for (const std::string& knob : core::knobs_by_micro_batch(config)) knobs += (knobs.empty() ? "" : ", ") + knob;
  if (!knobs.empty()) text += ", but " + knobs + " act on one micro-batch, so the result is not quite that of the undivided run";
  return text;
}

torch::Device device_named(const std::string& name) {
  if (name == "cpu") return torch::kCPU;
  if (name != "cuda") throw Error(ErrorKind::usage, "--device: '" + name + "' is neither cpu nor cuda");
  if (!torch::cuda::is_available()) {
    throw Error(ErrorKind::config, "--device cuda: this build or machine has no CUDA device; use --device cpu");
  }
  return torch::Device(torch::kCUDA, 0);  // the launcher shows this process one device
}

// Progress to the journal and the log, at most about twice a second and at the ends; waiting is told once.
DataWatcher journal_watcher(EventSink& events, Heartbeat& heartbeat) {
  struct Last {
    std::chrono::steady_clock::time_point time;
    std::string phase;
  };
  auto last = std::make_shared<Last>();
  DataWatcher watcher;
  watcher.progress = [&events, &heartbeat, last](std::string_view phase, std::int64_t done, std::int64_t total) {
    heartbeat.beat();
    if (stop_requested()) throw StoppedEarly{};
    const auto now = std::chrono::steady_clock::now();
    if (phase == last->phase && total == 0) return;
    if (phase == last->phase && done < total && now - last->time < std::chrono::milliseconds(500)) return;
    *last = {now, std::string(phase)};
    events.emit(EventType::progress, 0, {{"phase", std::string(phase)}, {"done", done}, {"total", total}});
    log_info("%s: %.1f of %.1f MB", last->phase.c_str(), static_cast<double>(done) / 1e6, static_cast<double>(total) / 1e6);
  };
  watcher.notice = [&events](const std::string& message) {
    events.emit(EventType::log, 0, {{"level", "info"}, {"message", message}});
    log_info("%s", message.c_str());
  };
  return watcher;
}

// run_summary.json, as moe-emergence writes it: what ended a run before its last step.
void write_summary(const fs::path& run_dir, const Trainer& trainer) {
  const json summary{{"stopped_reason", trainer.pruned_by()}, {"stopped_step", trainer.step()}, {"detail", trainer.pruned_because()}};
  std::ofstream(run_dir / "run_summary.json") << summary.dump(2) << '\n';
}

struct Ending {
  std::string status, reason, message;
  int exit_code = core::kExitDone;
  std::int64_t step = 0;
  std::map<std::string, double> values;
};

Ending train(const TrainRunOptions& options, EventSink& events) {
  Heartbeat heartbeat(options.run_dir);
  const RunFile run = read_run(options.run_dir);
  const core::RunConfig& config = run.config;
  const torch::Device device = device_named(options.device);
  TrainingData data = load_training_data(config, options.cache_dir, at::get_num_threads(), journal_watcher(events, heartbeat));
  log_info("data: %lld training and %lld validation blocks of %lld tokens%s", static_cast<long long>(data.train.size()),
           static_cast<long long>(data.val.size()), static_cast<long long>(config.data.block_size),
           data.summary.cached ? " (from the cache)" : "");

  CheckpointStore checkpoints(options.run_dir, config.checkpoint);
  const std::optional<Checkpoint> checkpoint = checkpoints.newest_good([&](const std::string& message) {
    log_warning("%s", message.c_str());
    events.emit(EventType::alert, 0, {{"code", "checkpoint_damaged"}, {"message", message}});
  });
  if (checkpoint) check_architecture(*checkpoint, config);

  torch::manual_seed(static_cast<std::uint64_t>(config.seed));
  LanguageModel model(config);
  if (!checkpoint) {
    if (config.moe.routing == core::Routing::hash) model.set_token_frequency(token_frequency(data.train, model.shape().vocab));
    load_initial_weights(model, config);
  }
  model.to(device);
  RoutingArtifacts artifacts(config, data, events, options.run_dir);
  Trainer trainer({.config = config,
                   .model = model,
                   .train = data.train,
                   .val = data.val,
                   .events = events,
                   .checkpoints = checkpoints,
                   .tokenizer = data.tokenizer ? data.tokenizer->model() : std::string(),
                   .stop_requested = stop_requested,
                   .last_evaluation = [&](std::int64_t step, const RoutingShares& domains) { artifacts.write(step, model, domains); },
                   .micro_batch_divisor = run.micro_batch_divisor,
                   .work_done = [&] { heartbeat.beat(); }});
  if (checkpoint) trainer.resume(*checkpoint);
  const std::int64_t first_step = trainer.step();

  const core::Cost cost = core::estimate_cost(config);
  json started = provenance(device);
  started.update({{"resumed_from_step", trainer.step()},
                  {"max_steps", trainer.max_steps()},
                  {"total_parameters", cost.total_parameters},
                  {"active_parameters", cost.active_parameters},
                  {"tokens_per_step", trainer.tokens_per_step()},
                  {"micro_batch_divisor", run.micro_batch_divisor}});
  events.emit(EventType::started, trainer.step(), started);
  if (trainer.device_kind_changed()) {
    const std::string message = std::string("goes on on ") + (device.is_cpu() ? "the CPU, it began on a GPU" : "a GPU, it began on the CPU") +
                                ": the random numbers of routing start anew, and rounding differs from here on";
    log_warning("%s", message.c_str());
    events.emit(EventType::alert, trainer.step(), {{"code", "device_kind_changed"}, {"message", message}});
  }
  if (run.micro_batch_divisor > 1) {
    const std::string message = describe_division(config, run.micro_batch_divisor);
    log_warning("%s", message.c_str());
    events.emit(EventType::alert, trainer.step(), {{"code", "micro_batch_halved"}, {"message", message}});
  }
  log_info("%lld parameters (%lld active), steps %lld to %lld, %d thread(s)", static_cast<long long>(cost.total_parameters),
           static_cast<long long>(cost.active_parameters), static_cast<long long>(trainer.step()),
           static_cast<long long>(trainer.max_steps()), at::get_num_threads());

  const TrainingEnd end = trainer.run();
  Ending ending;
  ending.step = trainer.step();
  ending.values = trainer.last_values();
  // The last evaluation came after the last record.
  if (trainer.step() > first_step) ending.values["perf/peak_memory_mb"] = peak_memory_mb(device);
  switch (end) {
    case TrainingEnd::completed:
      ending.status = "completed";
      break;
    case TrainingEnd::pruned:
      ending.status = "pruned";
      ending.reason = trainer.pruned_by();
      ending.message = trainer.pruned_because();
      write_summary(options.run_dir, trainer);
      break;
    case TrainingEnd::preempted:
      ending.status = "preempted";
      ending.message = "stopped by a signal after step " + std::to_string(ending.step) + "; a checkpoint holds it";
      ending.exit_code = core::kExitPreempted;
      break;
    case TrainingEnd::diverged:
      ending.status = "failed";
      ending.reason = "non_finite";
      ending.message = "the loss or gradient norm was not finite up to step " + std::to_string(ending.step) +
                       "; lower train.lr or raise train.warmup_steps";
      ending.exit_code = core::kExitRunFailed;
      break;
  }
  return ending;
}

Ending failure(const std::string& reason, const std::string& message, int exit_code) {
  return {"failed", reason, message, exit_code, 0, {}};
}

// The one place of the worker where errors end: each becomes the last line of the journal.
Ending train_and_explain(const TrainRunOptions& options, EventSink& events) {
  try {
    return train(options, events);
  } catch (const StoppedEarly&) {
    return {"preempted", "", "stopped by a signal before the first step", core::kExitPreempted, 0, {}};
  } catch (const Error& error) {
    return failure(core::to_string(error.kind()), error.what(), worker_exit_code(error.kind()));
  } catch (const std::bad_alloc&) {
    return failure("out_of_memory", "out of memory; lower train.batch_size, raise train.grad_accum, or use a smaller model",
                   core::kExitRunFailed);
  } catch (const c10::OutOfMemoryError& error) {
    return failure("out_of_memory", std::string("out of device memory; raise train.grad_accum: ") + error.what_without_backtrace(),
                   core::kExitRunFailed);
  } catch (const c10::Error& error) {
    // LibTorch's allocator of host memory has no type of its own for this.
    const std::string message = error.what_without_backtrace();
    const bool memory = message.find("can't allocate memory") != std::string::npos;
    return failure(memory ? "out_of_memory" : "internal", message, core::kExitRunFailed);
  } catch (const std::exception& error) {
    return failure("internal", error.what(), core::kExitRunFailed);
  }
}

}  // namespace

int worker_exit_code(ErrorKind kind) {
  switch (kind) {
    case ErrorKind::usage:
    case ErrorKind::config:
    case ErrorKind::data:
    case ErrorKind::not_found:
      return core::kExitUsage;
    case ErrorKind::storage:
      return core::kExitStorage;
    default:
      return core::kExitRunFailed;
  }
}

void configure_libtorch(int threads) {
  if (threads > 0) at::set_num_threads(threads);
  at::set_num_interop_threads(1);
  // The same thread count gives the same bits on a CPU; on CUDA, operations that cannot promise it warn once.
  at::globalContext().setDeterministicAlgorithms(true, /*warn_only=*/true);
  at::globalContext().setDeterministicFillUninitializedMemory(false);
}

int train_run(const TrainRunOptions& options) {
  EventSink events(options.run_dir, options.attempt);
  const Ending ending = train_and_explain(options, events);
  if (!ending.message.empty()) log_error("%s", ending.message.c_str());
  events.emit(EventType::finished, ending.step,
              {{"status", ending.status}, {"reason", ending.reason}, {"message", ending.message}, {"values", ending.values}});
  events.sync();
  return ending.exit_code;
}

}  // namespace moelab::worker
