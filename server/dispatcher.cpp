#include "server/dispatcher.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <exception>
#include <utility>

#include "server/queue_mode.h"
#include "server/situation.h"
#include "server/slurm/slurm_job.h"

namespace moelab::server {
namespace {

using core::RunState;

// After a launch that went wrong without a word to the database: no disk space, no directory.
constexpr std::chrono::seconds kLaunchPatience{1};
constexpr std::chrono::seconds kDecisionInterval{5};

}  // namespace

Dispatcher::Dispatcher(db::Database& database, HomePaths paths, const core::Clock& clock, Launcher& launcher, DeviceMonitor& devices,
                       Ingest& ingest, EventBus& bus, WaitReasons& reasons, DispatcherOptions options)
    : database_(database),
      clock_(clock),
      launcher_(launcher),
      devices_(devices),
      bus_(bus),
      reasons_(reasons),
      options_(options),
      changes_(database, bus),
      clock_watch_(clock),
      pruning_(database),
      disk_(paths.home(), options.min_free_bytes, clock),
      reader_(database, clock, devices, bus, options.device_interval),
      reaper_(database, paths, clock, launcher, devices, reader_, ingest, changes_),
      stops_(paths, clock, launcher, devices, changes_, options.grace),
      starter_(database, paths, clock, launcher, devices, changes_) {}

void Dispatcher::tick() {
  follow_clock();
  for_each_live([this](const db::RunRow& run) { reap(run); });
  for_each_live([this](const db::RunRow& run) {
    say_what_it_waits_for(run);
    stops_.watch(run);
  });
  if (!shutting_down_ && database_.read(read_queue_mode).kind == QueueMode::Kind::drained) {
    for_each_live([this](const db::RunRow& run) { stops_.drain(run); });
  }
  if (!shutting_down_) prune();
  for_each_live([this](const db::RunRow& run) { stops_.carry_out(run); });
  reader_.read_if_due();
  if (!shutting_down_) launch_what_fits();
}

void Dispatcher::begin_shutdown() {
  shutting_down_ = true;
  for_each_live([this](const db::RunRow& run) {
    if (stays(run)) return;
    changes_.change(run.id, [&](db::RunStore& runs) { runs.request_stop(run.id, db::StopIntent::shutdown, "", clock_.now()); });
  });
}

bool Dispatcher::has_live_runs() {
  const std::vector<db::RunRow> live = database_.read([](db::Connection& c) { return db::RunStore(c).in_states(core::live_run_states()); });
  return std::any_of(live.begin(), live.end(), [this](const db::RunRow& run) { return !stays(run); });
}

bool Dispatcher::stays(const db::RunRow& run) const {
  return options_.leave_slurm_jobs && run.process && is_slurm_job(*run.process);
}

// Deadlines are kept in wall time, so that the next daemon can read them: a jump of the clock takes them along.
void Dispatcher::follow_clock() {
  clock_watch_.look([this](std::chrono::milliseconds by) {
    spdlog::warn("the clock was set by {:+.1f} s, or the machine slept: deadlines move along", static_cast<double>(by.count()) / 1000);
    database_.write([&](db::Connection& c) { db::RunStore(c).shift_deadlines(by); });
    reader_.shift(by);
    if (next_decision_at_) *next_decision_at_ += by;
  });
}

void Dispatcher::reap(const db::RunRow& run) {
  if (!reaper_.reap(run)) return;
  stops_.forget(run.id);
  reasons_.set_started(run.id, "");
}

void Dispatcher::say_what_it_waits_for(const db::RunRow& run) {
  std::string reason = run.process ? launcher_.waits(*run.process) : "";
  if (reasons_.set_started(run.id, std::move(reason))) bus_.run_changed(run.id);
}

// What an experiment's own rule has found too weak to go on.
void Dispatcher::prune() {
  for (const PruneVerdict& verdict : pruning_.look(clock_.steady())) {
    guard(verdict.run, [&] {
      changes_.change_if(verdict.run, [&](db::RunStore& runs) {
        if (runs.get(verdict.run).state != RunState::running) return false;
        runs.request_stop(verdict.run, db::StopIntent::prune, verdict.reason, clock_.now());
        return true;
      });
    });
  }
}

void Dispatcher::skip_orphans() {
  const std::vector<db::Unmet> waiting = database_.read([](db::Connection& c) { return db::RunStore(c).failed_dependencies(); });
  for (const db::Unmet& unmet : waiting) {
    guard(unmet.run, [&] {
      changes_.change_if(unmet.run, [&](db::RunStore& runs) {
        if (runs.get(unmet.run).state != RunState::queued) return false;
        const std::string what = unmet.on ? "run " + std::to_string(*unmet.on) + " (" + unmet.on_name + "), which is " +
                                                core::to_string(unmet.state) + "; retry that, then this"
                                          : "a run that is not here; submit the file again, then retry this";
        runs.end_waiting(unmet.run, RunState::skipped, "it depends on " + what, clock_.now());
        return true;
      });
    });
  }
}

// Decides afresh when something has changed that a decision hangs on or a back-off is over, and else only now and then, in case a
// change was not told: an idle daemon costs next to nothing.
void Dispatcher::launch_what_fits() {
  const std::uint64_t due = bus_.decisions_due();
  if (due == decided_ && next_decision_at_ && clock_.now() < *next_decision_at_) return;
  skip_orphans();
  const Situation situation = database_.read([&](db::Connection& c) {
    return gather_situation(c, devices_.standings(), devices_.has_gpus(),
                            {options_.max_concurrent, options_.slurm_by_default, disk_.why_not_enough()});
  });
  Decision decision = decide(situation, clock_.now());
  next_decision_at_ = clock_.now() + kDecisionInterval;
  for (const QueuedRun& run : situation.queue) {
    if (run.not_before && *run.not_before > clock_.now()) next_decision_at_ = std::min(*next_decision_at_, *run.not_before);
  }
  reasons_.set(std::move(decision.waits));
  decided_ = due;
  for (const Launch& next : decision.launches) {
    bool launched = false;
    guard(next.run, [&] {
      starter_.start(next);
      launched = true;
    });
    if (!launched) next_decision_at_ = std::min(*next_decision_at_, clock_.now() + kLaunchPatience);
  }
}

void Dispatcher::for_each_live(const std::function<void(const db::RunRow&)>& work) {
  const std::vector<db::RunRow> live = database_.read([](db::Connection& c) { return db::RunStore(c).in_states(core::live_run_states()); });
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

}  // namespace moelab::server
