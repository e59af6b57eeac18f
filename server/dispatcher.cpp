#include "server/dispatcher.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <exception>
#include <filesystem>
#include <fstream>
#include <utility>

#include "core/config_json.h"
#include "core/error.h"
#include "core/micro_batch.h"
#include "db/attempt_clock.h"
#include "db/experiment_store.h"
#include "server/file_io.h"
#include "server/queue_mode.h"
#include "server/situation.h"
#include "server/structured_log.h"
#include "server/slurm_job.h"

namespace moelab::server {
namespace {

using core::RunState;

// After a launch that went wrong without a word to the database: no disk space, no directory.
constexpr std::chrono::seconds kLaunchPatience{1};
constexpr std::chrono::seconds kDecisionInterval{5};
// How long a lease outlives its worker at most while the GPU's memory is not free.
constexpr std::chrono::seconds kReleasePatience{30};

constexpr std::chrono::seconds kNotNowPause{10};  // after the place could not take a worker

const std::vector<RunState>& live_states() {
  static const std::vector<RunState> states = [] {
    std::vector<RunState> live;
    for (const RunState state : core::all_run_states()) {
      if (core::is_live(state)) live.push_back(state);
    }
    return live;
  }();
  return states;
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

core::RunConfig config_of(const nlohmann::json& spec, std::int64_t run_id) {
  return core::config_from_json(spec.at("config"), "run " + std::to_string(run_id));
}

// Of resources.timeout.
std::optional<std::chrono::seconds> time_left(const db::RunRow& run) {
  if (run.resources.timeout_s <= 0) return std::nullopt;
  const auto ran = std::chrono::duration_cast<std::chrono::seconds>(std::chrono::milliseconds(run.runtime_ms));
  return std::chrono::seconds(run.resources.timeout_s) - ran;
}

// Kills at once: what it computes is of no use, or it has had its chance.
bool wants_no_checkpoint(const db::RunRow& run) {
  return run.stop_intent == db::StopIntent::kill || run.stop_intent == db::StopIntent::hang || run.stop_intent == db::StopIntent::misplaced;
}

}  // namespace

Dispatcher::Dispatcher(db::Database& database, HomePaths paths, const core::Clock& clock, Launcher& launcher, DeviceMonitor& devices,
                       Ingest& ingest, EventBus& bus, WaitReasons& reasons, DispatcherOptions options)
    : database_(database),
      paths_(std::move(paths)),
      clock_(clock),
      launcher_(launcher),
      devices_(devices),
      ingest_(ingest),
      bus_(bus),
      reasons_(reasons),
      options_(options),
      clock_watch_(clock),
      progress_(paths_),
      pruning_(database),
      disk_(paths_.home(), options.min_free_bytes, clock) {}

void Dispatcher::tick() {
  follow_clock();
  for_each_live([this](const db::RunRow& run) { reap(run); });
  for_each_live([this](const db::RunRow& run) {
    say_what_it_waits_for(run);
    check_timeout(run);
    check_progress(run);
    check_placement(run);
  });
  if (!shutting_down_ && database_.read(read_queue_mode).kind == QueueMode::Kind::drained) {
    for_each_live([this](const db::RunRow& run) { drain(run); });
  }
  if (!shutting_down_) prune();
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
    if (stays(run)) return;
    change(run.id, [&](db::RunStore& runs) { runs.request_stop(run.id, db::StopIntent::shutdown, "", clock_.now()); });
  });
}

bool Dispatcher::has_live_runs() {
  const std::vector<db::RunRow> live = database_.read([](db::Connection& c) { return db::RunStore(c).in_states(live_states()); });
  return std::any_of(live.begin(), live.end(), [this](const db::RunRow& run) { return !stays(run); });
}

bool Dispatcher::stays(const db::RunRow& run) const {
  return options_.leave_slurm_jobs && run.process && is_slurm_job(*run.process);
}

// Deadlines are kept in wall time, so that the next daemon can read them: a jump of the clock takes them along.
void Dispatcher::follow_clock() {
  const std::optional<std::chrono::milliseconds> jump = clock_watch_.jump();
  if (!jump) return;
  spdlog::warn("the clock was set by {:+.1f} s, or the machine slept: deadlines move along", static_cast<double>(jump->count()) / 1000);
  database_.write([&](db::Connection& c) { db::RunStore(c).shift_deadlines(*jump); });
  if (devices_read_at_) *devices_read_at_ += *jump;
  if (next_decision_at_) *next_decision_at_ += *jump;
}

void Dispatcher::reap(const db::RunRow& run) {
  const std::optional<Exit> exit = run.process ? launcher_.poll(*run.process) : std::optional(Exit{});
  if (!exit) return;
  ingest_.drain(run.id);
  if (!has_given_back(run, *exit)) return;
  database_.write([&](db::Connection& c) {
    if (starts_in_slurm(db::RunStore(c).get(run.id))) db::restart_attempt_clock(c, run.id, clock_.now());
  });
  const Allowed policy = allowed(run);
  Exit end_of_worker = *exit;
  if (!exit->code && !exit->signal && run.gone_at) {  // seen by an earlier daemon, which could still tell
    if (run.exit_code) end_of_worker.code = static_cast<int>(*run.exit_code);
    if (run.signal) end_of_worker.signal = static_cast<int>(*run.signal);
  }
  DeviceVerdict verdict = DeviceVerdict::neutral;
  change(run.id, [&](db::RunStore& runs) {
    // Somebody has cancelled it where it ran: the same as here, if nobody here has asked for anything.
    if (exit->cancelled && !runs.get(run.id).stop_intent) runs.request_stop(run.id, db::StopIntent::cancel, exit->note, clock_.now());
    const db::RunRow present = runs.get(run.id);  // the journal, or a person, may have changed it since
    const auto word = runs.final_word(run.id, run.attempt);
    const db::AttemptEnd end = judge(present, end_of_worker, word, policy, clock_.now());
    runs.end_attempt(run.id, end, clock_.now());
    verdict = verdict_on_device(present, end_of_worker, word, end);
  });
  devices_.attempt_ended(run.device, run.id, verdict);
  asked_to_leave_.erase(run.id);
  progress_.forget(run.id);
  reasons_.set_started(run.id, "");
  if (run.process) launcher_.forget(*run.process);
}

// A worker that has gone may leave its memory on the GPU for a moment; until that is free, nobody else is to be sent there.
bool Dispatcher::has_given_back(const db::RunRow& run, const Exit& exit) {
  if (!run.process) return true;
  if (!run.gone_at) {
    change(run.id, [&](db::RunStore& runs) { runs.set_gone(run.id, exit.code, exit.signal, clock_.now()); });
    devices_read_at_.reset();
    read_devices();
  }
  if (devices_.is_released(run.device, run.id)) return true;
  if (!run.gone_at || clock_.now() - *run.gone_at < kReleasePatience) return false;
  devices_.quarantine(run.device, "the memory of run " + std::to_string(run.id) + " was not given back");
  return true;
}

Allowed Dispatcher::allowed(const db::RunRow& run) {
  if (!run.resources.halve_on_oom) return {};
  const nlohmann::json spec = database_.read([&](db::Connection& c) { return db::RunStore(c).spec(run.id); });
  return {core::next_micro_batch_divisor(config_of(spec, run.id), run.micro_batch_divisor)};
}

void Dispatcher::say_what_it_waits_for(const db::RunRow& run) {
  std::string reason = run.state == RunState::starting && run.process ? launcher_.waits(*run.process) : "";
  if (!reason.empty()) progress_.forget(run.id);  // it cannot hang before it has begun
  if (reasons_.set_started(run.id, std::move(reason))) bus_.run_changed(run.id);
}

void Dispatcher::check_timeout(const db::RunRow& run) {
  if (starts_in_slurm(run)) return;
  if (run.resources.timeout_s <= 0 || run.state == RunState::stopping || !run.attempt_started_at || run.gone_at) return;
  const auto ran = std::chrono::milliseconds(run.runtime_ms) + (clock_.now() - *run.attempt_started_at);
  if (ran < std::chrono::seconds(run.resources.timeout_s)) return;
  change(run.id, [&](db::RunStore& runs) { runs.request_stop(run.id, db::StopIntent::timeout, "", clock_.now()); });
}

void Dispatcher::check_progress(const db::RunRow& run) {
  if (run.resources.hang_timeout_s <= 0 || run.state == RunState::stopping || !run.process || run.gone_at) return;
  const auto idle = progress_.idle(run.id, run.attempt, clock_.steady());
  if (idle < std::chrono::seconds(run.resources.hang_timeout_s)) return;
  const std::string reason =
      "the worker made no progress for " + std::to_string(run.resources.hang_timeout_s) + " s (resources.hang_timeout) and was killed";
  change(run.id, [&](db::RunStore& runs) { runs.request_stop(run.id, db::StopIntent::hang, reason, clock_.now()); });
}

// Trusting CUDA_VISIBLE_DEVICES is not enough: a worker on a GPU that is not its own takes it from somebody.
void Dispatcher::check_placement(const db::RunRow& run) {
  if (run.state == RunState::stopping || !run.process || is_slurm_job(*run.process) || run.gone_at) return;
  const Seat seat = devices_.placement(run.device, run.process->pid);
  if (seat.placement != Placement::wrong) return;
  const std::string reason = "the worker was granted " + run.device + " and computed on " + seat.device + "; it was killed";
  change(run.id, [&](db::RunStore& runs) { runs.request_stop(run.id, db::StopIntent::misplaced, reason, clock_.now()); });
}

// What an experiment's own rule has found too weak to go on.
void Dispatcher::prune() {
  for (const PruneVerdict& verdict : pruning_.look(clock_.steady())) {
    guard(verdict.run, [&] {
      change_if(verdict.run, [&](db::RunStore& runs) {
        if (runs.get(verdict.run).state != RunState::running) return false;
        runs.request_stop(verdict.run, db::StopIntent::prune, verdict.reason, clock_.now());
        return true;
      });
    });
  }
}

void Dispatcher::drain(const db::RunRow& run) {
  if (run.state == RunState::stopping) return;
  change(run.id, [&](db::RunStore& runs) { runs.request_stop(run.id, db::StopIntent::drain, "", clock_.now()); });
}

void Dispatcher::carry_out_stop(const db::RunRow& run) {
  if (run.state != RunState::stopping || !run.process) return;
  if (!run.stop_deadline) {
    change(run.id, [&](db::RunStore& runs) { runs.set_stop_deadline(run.id, clock_.now() + options_.grace); });
  }
  if (wants_no_checkpoint(run)) return launcher_.kill(*run.process);
  // A stop that an earlier daemon began is asked for again: whether its signal went out is not known.
  if (asked_to_leave_.insert(run.id).second) launcher_.terminate(*run.process);
  if (run.stop_deadline && clock_.now() >= *run.stop_deadline) launcher_.kill(*run.process);
}

void Dispatcher::read_devices() {
  const std::vector<Lease> leases = database_.read([](db::Connection& c) {
    std::vector<Lease> list;
    db::ExperimentStore experiments(c);
    for (const db::RunRow& run : db::RunStore(c).in_states(live_states())) {
      const std::vector<db::MemberRow> listings = experiments.listings(run.id);
      list.push_back({run.device, run.id, listings.empty() ? run.name : listings.front().name,
                      run.attempt_started_at.value_or(run.queued_at), run.process && !is_slurm_job(*run.process) ? run.process->pid : 0,
                      run.gone_at.has_value()});
    }
    return list;
  });
  std::vector<std::string> leased;
  for (const Lease& lease : leases) leased.push_back(lease.device + " " + std::to_string(lease.run_id) + (lease.gone ? " gone" : ""));
  const bool due = !devices_read_at_ || clock_.now() - *devices_read_at_ >= options_.device_interval;
  if (!due && leased == leased_) return;
  leased_ = std::move(leased);
  devices_read_at_ = clock_.now();
  if (devices_.refresh(leases)) bus_.devices_changed();
}

void Dispatcher::skip_orphans() {
  const std::vector<db::Unmet> waiting = database_.read([](db::Connection& c) { return db::RunStore(c).unmet_dependencies(); });
  for (const db::Unmet& unmet : waiting) {
    if (unmet.on && !core::is_terminal(unmet.state)) continue;
    guard(unmet.run, [&] {
      change_if(unmet.run, [&](db::RunStore& runs) {
        if (runs.get(unmet.run).state != RunState::queued) return false;
        const std::string what =
            unmet.on ? "run " + std::to_string(*unmet.on) + " (" + unmet.on_name + "), which is " + core::to_string(unmet.state)
                     : "a run that is not here";
        runs.end_waiting(unmet.run, RunState::skipped, "it depends on " + what + "; retry that, then this", clock_.now());
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
  const Situation situation = database_.read([&](db::Connection& c) {
    return gather_situation(c, devices_.standings(), devices_.has_gpus(), {options_.max_concurrent, options_.slurm_by_default, disk_.why_not_enough()});
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
      launch(next);
      launched = true;
    });
    if (!launched) next_decision_at_ = std::min(*next_decision_at_, clock_.now() + kLaunchPatience);
  }
}

void Dispatcher::launch(const Launch& next) {
  const Device device = devices_.device(next.device);
  const auto [run, spec] = database_.read([&](db::Connection& c) {
    db::RunStore runs(c);
    return std::pair(runs.get(next.run), runs.spec(next.run));
  });
  if (run.state != RunState::queued) return;  // cancelled since the decision
  prepare_run_directory(run, spec);
  const std::string note = next.forced ? devices_.who_is_there(next.device) : "";
  int attempt = 0;
  change(run.id, [&](db::RunStore& runs) {
    attempt = runs.begin_attempt(
        run.id, {next.device, next.shared, note.empty() ? "" : next.device + ", by force; there already: " + note}, clock_.now());
  });
  db::ProcessIdentity process;
  try {
    const core::RunConfig config = config_of(spec, run.id);
    LaunchRequest request;
    request.run_id = run.id;
    request.attempt = attempt;
    request.run_dir = paths_.run(run.id);
    request.cache_dir = paths_.cache();
    request.kind = device.kind;
    request.gpu_index = device.index;
    request.threads = static_cast<int>(config.resources.cpus.value_or(device.threads));
    request.resources = config.resources;
    request.gpu_uuid = device.uuid;
    request.cpus = device.cpus;
    request.time_left = time_left(run);
    process = launcher_.spawn(request);
  } catch (const core::Error& e) {
    const bool not_now = e.kind() == core::ErrorKind::unreachable;  // the place is to blame: that is no restart
    const bool again = not_now || (e.kind() != core::ErrorKind::config && run.restarts < run.resources.max_restarts);
    change(run.id, [&](db::RunStore& runs) {
      runs.end_attempt(run.id,
                       {again ? RunState::queued : RunState::failed, e.what(), std::nullopt, std::nullopt, again && !not_now,
                        clock_.now() + (not_now ? kNotNowPause : backoff(run.restarts + 1)), std::nullopt},
                       clock_.now());
    });
    throw;
  }
  try {
    change(run.id, [&](db::RunStore& runs) { runs.set_process(run.id, process); });
  } catch (...) {
    launcher_.forget(process);  // it closes the gate: a worker that nobody knows of must not train
    throw;
  }
  launcher_.release(process);
  log_with(spdlog::level::info, "run " + std::to_string(run.id) + " has a worker",
           {{"run", run.id}, {"attempt", attempt}, {"device", next.device}, {"pid", process.pid}});
}

// The worker knows files only, and run.json alone tells it what to do; the database keeps what the person submitted.
void Dispatcher::prepare_run_directory(const db::RunRow& run, const nlohmann::json& spec) {
  create_directories_or_throw(paths_.run(run.id));
  create_directories_or_throw(paths_.cache());
  if (run.fresh) std::filesystem::remove_all(paths_.checkpoints(run.id));
  end_torn_line(paths_.journal(run.id));
  if (run.waits_for.empty() && run.micro_batch_divisor == 1 && !run.fresh) return;
  nlohmann::json for_worker = spec;
  for_worker["run_id"] = run.id;
  for_worker["micro_batch_divisor"] = run.micro_batch_divisor;
  if (!run.waits_for.empty()) {
    const auto origin = database_.read([&](db::Connection& c) { return db::RunStore(c).find_by_key(run.waits_for); });
    if (!origin) {
      throw core::Error(core::ErrorKind::not_found, "the run whose weights run " + std::to_string(run.id) + " starts from is gone");
    }
    for_worker["config"]["train"]["init_from"] = paths_.run(*origin).string();
  }
  write_file_atomically(paths_.spec(run.id), for_worker.dump(2) + "\n");
}

void Dispatcher::for_each_live(const std::function<void(const db::RunRow&)>& work) {
  const std::vector<db::RunRow> live = database_.read([](db::Connection& c) { return db::RunStore(c).in_states(live_states()); });
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
