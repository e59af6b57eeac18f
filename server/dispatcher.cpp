#include "server/dispatcher.h"

#include <spdlog/spdlog.h>

#include <exception>
#include <filesystem>
#include <fstream>
#include <utility>

#include "core/error.h"
#include "db/experiment_store.h"
#include "server/file_io.h"
#include "server/outcome.h"
#include "server/scheduler.h"

namespace moelab::server {
namespace {

using core::RunState;

const std::vector<RunState> kLive{RunState::starting, RunState::running, RunState::stopping};

// Its checkpoint can be started from.
bool has_result(RunState state) {
  return state == RunState::completed || state == RunState::pruned;
}

// A worker that was killed in the middle of a line leaves a torn one. Ended here, while no worker writes, it costs only
// itself; otherwise the next attempt's first event would be glued to it.
void end_torn_line(const std::filesystem::path& journal) {
  std::fstream file(journal, std::ios::binary | std::ios::in | std::ios::out | std::ios::ate);
  if (!file || file.tellg() == std::streampos(0)) return;
  file.seekg(-1, std::ios::end);
  if (file.get() == '\n') return;
  file.seekp(0, std::ios::end);
  file.put('\n');
}

}  // namespace

Dispatcher::Dispatcher(db::Database& database, HomePaths paths, const core::Clock& clock, Launcher& launcher, DeviceMonitor& devices,
                       Ingest& ingest, EventBus& bus, DispatcherOptions options)
    : database_(database),
      paths_(std::move(paths)),
      clock_(clock),
      launcher_(launcher),
      devices_(devices),
      ingest_(ingest),
      bus_(bus),
      options_(options) {}

void Dispatcher::tick() {
  for_each_live([this](const db::RunRow& run) { reap(run); });
  for_each_live([this](const db::RunRow& run) { check_timeout(run); });
  for_each_live([this](const db::RunRow& run) { carry_out_stop(run); });
  read_devices();
  if (!shutting_down_) {
    skip_orphans();
    launch_what_fits();
  }
}

void Dispatcher::begin_shutdown() {
  shutting_down_ = true;
  for_each_live([this](const db::RunRow& run) {
    change(run.id, [&](db::RunStore& runs) { runs.request_stop(run.id, db::StopIntent::shutdown, clock_.now()); });
  });
}

bool Dispatcher::has_live_runs() {
  return !database_.read([](db::Connection& c) { return db::RunStore(c).in_states(kLive); }).empty();
}

void Dispatcher::reap(const db::RunRow& run) {
  const std::optional<Exit> exit = run.process ? launcher_.poll(*run.process) : std::optional(Exit{});
  if (!exit) return;
  ingest_.drain(run.id);
  change(run.id, [&](db::RunStore& runs) {
    const db::RunRow present = runs.get(run.id);  // the journal, or a person, may have changed it since
    const db::AttemptEnd end = judge(present, *exit, runs.final_word(run.id, run.attempt), clock_.now());
    runs.end_attempt(run.id, end, clock_.now());
    spdlog::info("run {} {} -> {}{}{}", run.id, core::to_string(present.state), core::to_string(end.to), end.reason.empty() ? "" : ": ",
                 end.reason);
  });
  asked_to_leave_.erase(run.id);
  if (run.process) launcher_.forget(*run.process);
}

void Dispatcher::check_timeout(const db::RunRow& run) {
  if (run.resources.timeout_s <= 0 || run.state == RunState::stopping || !run.attempt_started_at) return;
  const auto ran = std::chrono::milliseconds(run.runtime_ms) + (clock_.now() - *run.attempt_started_at);
  if (ran < std::chrono::seconds(run.resources.timeout_s)) return;
  change(run.id, [&](db::RunStore& runs) { runs.request_stop(run.id, db::StopIntent::timeout, clock_.now()); });
}

void Dispatcher::carry_out_stop(const db::RunRow& run) {
  if (run.state != RunState::stopping || !run.process) return;
  if (!run.stop_deadline) {
    change(run.id, [&](db::RunStore& runs) { runs.set_stop_deadline(run.id, clock_.now() + options_.grace); });
  }
  // A stop that an earlier daemon began is asked for again: whether its signal went out is not known.
  if (asked_to_leave_.insert(run.id).second) launcher_.terminate(*run.process);
  if (run.stop_deadline && clock_.now() >= *run.stop_deadline) launcher_.kill(*run.process);
}

void Dispatcher::read_devices() {
  const std::vector<Lease> leases = database_.read([](db::Connection& c) {
    std::vector<Lease> list;
    db::ExperimentStore experiments(c);
    for (const db::RunRow& run : db::RunStore(c).in_states(kLive)) {
      const std::vector<db::MemberRow> listings = experiments.listings(run.id);
      list.push_back({run.device, run.id, listings.empty() ? run.name : listings.front().name,
                      run.attempt_started_at.value_or(run.queued_at), run.process ? run.process->pid : 0});
    }
    return list;
  });
  std::vector<std::string> leased;
  for (const Lease& lease : leases) leased.push_back(lease.device + " " + std::to_string(lease.run_id));
  const bool due = !devices_read_at_ || clock_.now() - *devices_read_at_ >= options_.device_interval;
  if (!due && leased == leased_) return;
  leased_ = std::move(leased);
  devices_read_at_ = clock_.now();
  if (devices_.refresh(leases)) bus_.devices_changed();
}

std::optional<db::RunRow> Dispatcher::origin(db::RunStore& runs, const db::RunRow& run) {
  const auto id = runs.find_by_key(run.waits_for);
  return id ? runs.find(*id) : std::nullopt;
}

void Dispatcher::skip_orphans() {
  const std::vector<db::RunRow> waiting = database_.read([](db::Connection& c) { return db::RunStore(c).waiting_for_another(); });
  for (const db::RunRow& run : waiting) {
    guard(run.id, [&] {
      change_if(run.id, [&](db::RunStore& runs) {
        const auto from = origin(runs, run);
        if (from && (!core::is_terminal(from->state) || has_result(from->state))) return false;
        const std::string what = from
                                     ? "run " + std::to_string(from->id) + " (" + from->name + "), which is " + core::to_string(from->state)
                                     : "a run that is not here";
        runs.skip(run.id, "it starts from the weights of " + what + "; retry that, then this", clock_.now());
        return true;
      });
    });
  }
}

void Dispatcher::launch_what_fits() {
  Situation situation;
  situation.free = devices_.free_devices();
  if (situation.free.empty()) return;
  situation.has_gpus = devices_.has_gpus();
  database_.read([&](db::Connection& c) {
    db::RunStore runs(c);
    db::ExperimentStore experiments(c);
    situation.limits = experiments.limits();
    const auto listed_by = [&](std::int64_t run) {
      return situation.limits.empty() ? std::vector<std::int64_t>{} : experiments.experiments_of(run);
    };
    for (const db::RunRow& run : runs.in_states({RunState::queued})) {
      if (!run.waits_for.empty()) {
        const auto from = origin(runs, run);
        if (!from || !has_result(from->state)) continue;
      }
      situation.queue.push_back({run.id, run.priority, run.queued_at, run.not_before, run.resources.gpus, listed_by(run.id)});
    }
    for (const db::RunRow& run : runs.in_states(kLive)) situation.running.push_back({run.id, listed_by(run.id)});
  });
  for (const Launch& next : decide(situation, clock_.now())) {
    guard(next.run, [&] { launch(next.run, next.device); });
  }
}

void Dispatcher::launch(std::int64_t run_id, const std::string& device_id) {
  const Device device = devices_.device(device_id);
  const db::RunRow run = database_.read([&](db::Connection& c) { return db::RunStore(c).get(run_id); });
  if (run.state != RunState::queued) return;  // cancelled since the decision
  prepare_run_directory(run);
  int attempt = 0;
  change(run_id, [&](db::RunStore& runs) { attempt = runs.begin_attempt(run_id, device_id, clock_.now()); });
  db::ProcessIdentity process;
  try {
    process = launcher_.spawn({run_id, attempt, paths_.run(run_id), paths_.cache(), device.kind, device.index, device.threads});
  } catch (const core::Error& e) {
    const bool again = run.restarts < run.resources.max_restarts;
    change(run_id, [&](db::RunStore& runs) {
      runs.end_attempt(run_id,
                       {again ? RunState::queued : RunState::failed, e.what(), std::nullopt, std::nullopt, again,
                        clock_.now() + backoff(run.restarts + 1)},
                       clock_.now());
    });
    throw;
  }
  change(run_id, [&](db::RunStore& runs) { runs.set_process(run_id, process); });
  launcher_.release(process);
  spdlog::info("run {} attempt {} started on {} as process {}", run_id, attempt, device_id, process.pid);
}

void Dispatcher::prepare_run_directory(const db::RunRow& run) {
  create_directories_or_throw(paths_.run(run.id));
  create_directories_or_throw(paths_.cache());
  if (run.fresh) std::filesystem::remove_all(paths_.checkpoints(run.id));
  end_torn_line(paths_.journal(run.id));
  if (run.waits_for.empty()) return;
  const auto from = database_.read([&](db::Connection& c) {
    db::RunStore runs(c);
    return origin(runs, run);
  });
  if (!from) throw core::Error(core::ErrorKind::not_found, "the run whose weights run " + std::to_string(run.id) + " starts from is gone");
  // The worker knows files only. The database keeps the key.
  nlohmann::json spec = database_.read([&](db::Connection& c) { return db::RunStore(c).spec(run.id); });
  spec["run_id"] = run.id;
  spec["config"]["train"]["init_from"] = paths_.run(from->id).string();
  write_file_atomically(paths_.spec(run.id), spec.dump(2) + "\n");
}

void Dispatcher::for_each_live(const std::function<void(const db::RunRow&)>& work) {
  const std::vector<db::RunRow> live = database_.read([](db::Connection& c) { return db::RunStore(c).in_states(kLive); });
  for (const db::RunRow& run : live) guard(run.id, [&] { work(run); });
}

// Keeps the trouble of one run from the others; a lasting error is logged once.
void Dispatcher::guard(std::int64_t run_id, const std::function<void()>& work) {
  try {
    work();
    last_error_.erase(run_id);
  } catch (const std::exception& e) {
    if (std::exchange(last_error_[run_id], e.what()) != e.what()) spdlog::error("run {}: {}", run_id, e.what());
  }
}

template <class Change>
void Dispatcher::change_if(std::int64_t run_id, Change&& change) {
  const bool changed = database_.write([&](db::Connection& c) {
    db::RunStore runs(c);
    return change(runs);
  });
  if (changed) publish(run_id);
}

template <class Change>
void Dispatcher::change(std::int64_t run_id, Change&& change) {
  database_.write([&](db::Connection& c) {
    db::RunStore runs(c);
    change(runs);
  });
  publish(run_id);
}

void Dispatcher::publish(std::int64_t run_id) {
  bus_.run_changed(run_id);
  const auto experiments = database_.read([&](db::Connection& c) { return db::ExperimentStore(c).experiments_of(run_id); });
  for (const std::int64_t experiment : experiments) bus_.experiment_changed(experiment);
}

}  // namespace moelab::server
