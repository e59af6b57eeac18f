#include "server/reaper.h"

#include <string>

#include "core/config_json.h"
#include "core/micro_batch.h"
#include "db/attempt_clock.h"
#include "server/progress_watch.h"
#include "server/slurm/slurm_job.h"

namespace moelab::server {
namespace {

// How long a lease outlives its worker at most while the GPU's memory is not free.
constexpr std::chrono::seconds kReleasePatience{30};

}  // namespace

bool Reaper::reap(const db::RunRow& run) {
  const std::optional<Exit> exit = run.process ? launcher_.poll(*run.process) : std::optional(Exit{});
  if (!exit) return false;
  ingest_.drain_to_the_end(run.id);
  if (!has_given_back(run, *exit)) return false;
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
  changes_.change(run.id, [&](db::RunStore& runs) {
    // Somebody has cancelled it where it ran: the same as here, if nobody here has asked for anything.
    if (exit->cancelled && !runs.get(run.id).stop_intent) runs.request_stop(run.id, db::StopIntent::cancel, exit->note, clock_.now());
    const db::RunRow present = runs.get(run.id);  // the journal, or a person, may have changed it since
    const auto word = runs.final_word(run.id, run.attempt);
    db::AttemptEnd end = judge(present, end_of_worker, word, policy, clock_.now());
    end.worked_until = worked_until(present, end_of_worker);
    runs.end_attempt(run.id, end, clock_.now());
    verdict = verdict_on_device(present, end_of_worker, word, end);
  });
  devices_.attempt_ended(run.device, run.id, verdict);
  if (run.process) launcher_.forget(*run.process);
  return true;
}

// Nobody looked when it ended, or it was not ours to see: the machine may have been down for hours, which is no running time. Nor is
// the wait for the device's memory.
core::TimePoint Reaper::worked_until(const db::RunRow& run, const Exit& exit) const {
  const bool seen = (exit.code || exit.signal) && run.process && !is_slurm_job(*run.process);
  return seen ? run.gone_at.value_or(clock_.now()) : last_sign_of_life(paths_, run, clock_.now());
}

// A worker that has gone may leave its memory on the GPU for a moment; until that is free, nobody else is to be sent there.
bool Reaper::has_given_back(const db::RunRow& run, const Exit& exit) {
  if (!run.process || devices_.is_released(run.device, run.id)) return true;
  if (!run.gone_at) {
    changes_.change(run.id, [&](db::RunStore& runs) { runs.set_gone(run.id, exit.code, exit.signal, clock_.now()); });
    reader_.read_now();
  }
  if (devices_.is_released(run.device, run.id)) return true;
  if (!run.gone_at || clock_.now() - *run.gone_at < kReleasePatience) return false;
  reader_.read_now();  // the last reading may be of before this daemon knew of the run
  if (devices_.is_released(run.device, run.id)) return true;
  devices_.quarantine(run.device, "the memory of run " + std::to_string(run.id) + " was not given back");
  return true;
}

Allowed Reaper::allowed(const db::RunRow& run) {
  if (!run.resources.halve_on_oom) return {};
  const nlohmann::json spec = database_.read([&](db::Connection& c) { return db::RunStore(c).spec(run.id); });
  return {core::next_micro_batch_divisor(core::config_from_json(spec.at("config"), "run " + std::to_string(run.id)), run.micro_batch_divisor)};
}

}  // namespace moelab::server
