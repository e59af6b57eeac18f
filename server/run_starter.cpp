#include "server/run_starter.h"

#include <spdlog/spdlog.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <utility>

#include "core/config_json.h"
#include "core/error.h"
#include "server/file_io.h"
#include "server/outcome.h"
#include "server/structured_log.h"

namespace moelab::server {
namespace {

using core::RunState;

constexpr std::chrono::seconds kNotNowPause{10};  // after the place could not take a worker

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

// Of resources.timeout.
std::optional<std::chrono::seconds> time_left(const db::RunRow& run) {
  if (run.resources.timeout_s <= 0) return std::nullopt;
  const auto ran = std::chrono::duration_cast<std::chrono::seconds>(std::chrono::milliseconds(run.runtime_ms - run.forgiven_ms));
  return std::chrono::seconds(run.resources.timeout_s) - ran;
}

std::optional<bool> on_gpu(const Device& device) {
  return device.kind == DeviceKind::slurm ? std::nullopt : std::optional(device.kind == DeviceKind::gpu);
}

}  // namespace

void RunStarter::start(const Launch& next) {
  const Device device = devices_.device(next.device);
  const auto [run, spec] = database_.read([&](db::Connection& c) {
    db::RunStore runs(c);
    return std::pair(runs.get(next.run), runs.spec(next.run));
  });
  if (run.state != RunState::queued) return;  // cancelled since the decision
  prepare_run_directory(run, spec);
  const std::string note = next.forced ? devices_.who_is_there(next.device) : "";
  int attempt = 0;
  changes_.change(run.id, [&](db::RunStore& runs) {
    attempt = runs.begin_attempt(
        run.id, {next.device, next.shared, note.empty() ? "" : next.device + ", by force; there already: " + note, on_gpu(device)}, clock_.now());
  });
  db::ProcessIdentity process;
  try {
    const core::RunConfig config = core::config_from_json(spec.at("config"), "run " + std::to_string(run.id));
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
    changes_.change(run.id, [&](db::RunStore& runs) {
      const db::RunRow present = runs.get(run.id);
      db::AttemptEnd end;
      if (present.stop_intent) {  // meanwhile: there is nothing to stop, and what was wished stands
        end = judge(present, {}, std::nullopt, {}, clock_.now());
      } else {
        end.to = again ? RunState::queued : RunState::failed;
        end.reason = e.what();
        end.counts_as_restart = again && !not_now;
        end.not_before = clock_.now() + (not_now ? kNotNowPause : backoff(run.restarts + 1));
      }
      runs.end_attempt(run.id, end, clock_.now());
    });
    throw;
  }
  try {
    changes_.change(run.id, [&](db::RunStore& runs) { runs.set_process(run.id, process); });
  } catch (...) {
    launcher_.forget(process);  // it closes the gate: a worker that nobody knows of must not train
    throw;
  }
  launcher_.release(process);
  log_with(spdlog::level::info, "run " + std::to_string(run.id) + " has a worker",
           {{"run", run.id}, {"attempt", attempt}, {"device", next.device}, {"pid", process.pid}});
}

// The worker knows files only, and run.json alone tells it what to do; the database keeps what the person submitted.
void RunStarter::prepare_run_directory(const db::RunRow& run, const nlohmann::json& spec) {
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

}  // namespace moelab::server
