#include "tests/server/simulation/machine.h"

#include <algorithm>
#include <filesystem>

#include "core/error.h"

namespace moelab::sim {

Machine::Machine(std::mt19937& random, const server::HomePaths& paths, const test::ManualClock& clock)
    : random_(random), paths_(paths), clock_(clock) {}

db::ProcessIdentity Machine::spawn(const server::LaunchRequest& request, const std::string& device, bool trouble) {
  auto worker = std::make_unique<Worker>();
  worker->run = request.run_id;
  worker->attempt = request.attempt;
  worker->device = worker->seat = device;
  if (gpus.contains(device)) {
    worker->shares = request.resources.share_gpu && request.resources.memory_gb;
    worker->memory_mb = request.resources.memory_gb.value_or(4) * 1024;
    if (trouble && one_in(25)) worker->seat = device == "gpu0" ? "gpu1" : "gpu0";
  }
  worker->identity = {next_pid_++, ++ticks_, boot_id_};
  worker->journal = std::make_unique<test::JournalWriter>(paths_.journal(request.run_id), request.attempt);
  worker->deaf = trouble && one_in(15);
  worker->progressed_at = worker->spawned_at = clock_.steady();
  workers_.push_back(std::move(worker));
  return workers_.back()->identity;
}

Worker* Machine::find(const db::ProcessIdentity& process) {
  for (const auto& worker : workers_) {
    if (worker->identity == process) return worker.get();
  }
  return nullptr;
}

std::vector<server::Device> Machine::devices() {
  std::vector<server::Device> list;
  for (auto& [id, gpu] : gpus) {
    const auto is_astray = [&, here = id](const auto& w) { return w->alive && w->started && w->seat == here && w->device != here; };
    gpu.read_as_unfit =
        gpu.used_by_others || gpu.leaked_mb > 0 || gpu.lost || std::any_of(workers_.begin(), workers_.end(), is_astray);
    if (gpu.lost) continue;
    server::Device d;
    d.id = id;
    d.index = id.back() - '0';
    d.kind = server::DeviceKind::gpu;
    d.memory_total_mb = kGpuMemoryMb;
    double used_mb = gpu.leaked_mb;
    if (gpu.used_by_others) {
      d.processes.push_back({77, "somebody", "python", 9000});
      used_mb += 9000;
    }
    for (const auto& worker : workers_) {
      if (!worker->alive || worker->seat != id || !worker->started) continue;
      if (worker->device != id) worker->seen_astray = true;
      d.processes.push_back({worker->identity.pid, "us", "moelab-worker", worker->memory_mb});
      used_mb += worker->memory_mb;
    }
    d.memory_used_mb = used_mb;
    d.utilization_pct = d.processes.empty() ? 0 : 90;
    list.push_back(d);
  }
  server::Device slot;
  slot.id = "cpu0";
  slot.kind = server::DeviceKind::cpu;
  list.push_back(slot);
  return list;
}

void Machine::shut(Worker& worker) {
  worker.alive = false;
  worker.ended_at = clock_.steady();
}

void Machine::end(Worker& worker) {
  shut(worker);
  const auto found = gpus.find(worker.seat);
  if (found == gpus.end() || !worker.started || !one_in(8)) return;
  Gpu& gpu = found->second;
  gpu.leaked_mb = worker.memory_mb;
  gpu.leaked_by = worker.run;
  gpu.leaked_at = clock_.steady();
}

std::chrono::nanoseconds Machine::lived(std::int64_t run) const {
  std::chrono::nanoseconds sum{};
  for (const auto& worker : workers_) {
    if (worker->run == run) sum += (worker->alive ? clock_.steady() : worker->ended_at) - worker->spawned_at;
  }
  return sum;
}

void Machine::kill(Worker& worker, int signal) {
  if (!worker.alive) return;
  worker.exit.signal = signal;
  end(worker);
}

void Machine::crash(Worker& worker, int signal) {
  ++crashes[worker.run];
  crashed_at.erase(worker.run);
  // Out of memory, it may go on at once with half the micro-batch; in the middle of a start, a new daemon takes it for its own death;
  // asked to leave, it has left.
  if (!worker.exit.oom_killed && !worker.asked_to_leave && (worker.child || worker.started)) crashed_at[worker.run] = clock_.steady();
  kill(worker, signal);
}

void Machine::leave(Worker& worker, const std::string& status, const std::string& reason, int code) {
  worker.journal->finished(worker.step, status, reason, "");
  if (status == "completed") completed.emplace(worker.run, worker.attempt);
  worker.exit.code = code;
  end(worker);
}

std::int64_t Machine::saved_step(std::int64_t run) const {
  const std::filesystem::path file = paths_.checkpoints(run) / "step";
  return std::filesystem::exists(file) ? std::stoll(test::read_text(file)) : 0;
}

void Machine::save(const Worker& worker) const {
  if (worker.step == 0) return;
  std::filesystem::create_directories(paths_.checkpoints(worker.run));
  test::write_text(paths_.checkpoints(worker.run) / "step", std::to_string(worker.step));
}

void Machine::work(bool trouble) {
  for (auto& [id, gpu] : gpus) {
    if (gpu.leaked_mb > 0 && one_in(6)) gpu.leaked_mb = 0;
  }
  for (std::size_t i = 0; i < workers_.size(); ++i) {
    Worker& worker = *workers_[i];
    if (worker.alive && worker.released && !one_in(4)) train(worker, trouble);
  }
}

void Machine::train(Worker& worker, bool trouble) {
  if (worker.hung) return;
  if (trouble && one_in(40)) {
    if (one_in(2)) test::write_text(paths_.journal(worker.run), "{\"v\":1,\"seq\":9", std::ios::app);  // in the middle of a line
    worker.exit.oom_killed = one_in(4);
    return crash(worker, one_in(2) ? 9 : 11);
  }
  if (trouble && one_in(100)) {
    worker.hung = true;
    return;
  }
  worker.progressed_at = clock_.steady();
  if (!worker.started) {
    worker.started = true;
    worker.step = saved_step(worker.run);
    worker.journal->started(worker.step, kMaxSteps);
  } else if ((worker.asked_to_leave && !worker.deaf) || (trouble && one_in(120))) {  // asked by us, or by somebody
    save(worker);
    if (!worker.moved) ++crashes[worker.run];  // taken away before its first step
    leave(worker, "preempted", "", core::kExitPreempted);
  } else if (trouble && one_in(80)) {
    leave(worker, "failed", one_in(2) ? "out_of_memory" : "data", core::kExitRunFailed);
  } else if (worker.step == kMaxSteps) {
    leave(worker, "completed", "", core::kExitDone);
  } else {
    ++worker.step;
    worker.moved = true;
    worker.journal->loss(worker.step, static_cast<double>(100 * worker.attempt + worker.step));
    if (worker.step % kSaveEvery == 0) save(worker);
  }
}

void Machine::daemon_died() {
  std::map<std::int64_t, const Worker*> newest;
  for (const auto& worker : workers_) newest[worker->run] = worker.get();
  for (const auto& [run, worker] : newest) {
    // It crashed in the middle of its start, and the daemon died before it saw that: the next one takes it for its own death.
    if (worker->child && !worker->alive && !worker->started) crashed_at.erase(run);
  }
  for (const auto& worker : workers_) {
    worker->child = false;
    if (worker->alive && !worker->released) shut(*worker);  // the gate closed
  }
}

void Machine::reboot() {
  for (const auto& worker : workers_) {
    if (worker->alive) shut(*worker);
  }
  for (auto& [id, gpu] : gpus) gpu = {};
  boot_id_ = "boot" + std::to_string(++boots_);
  next_pid_ = 1000;  // the same pids come again
  ticks_ = 0;
}

void Machine::toggle_gpu_loss(const std::string& id) {
  Gpu& gpu = gpus.at(id);
  gpu.lost = !gpu.lost;
  if (!gpu.lost) return;
  for (const auto& worker : workers_) {
    if (worker->alive && worker->released && worker->seat == id) crash(*worker, 6);
  }
  gpu.leaked_mb = 0;
}

void Machine::toggle_others(const std::string& id) {
  gpus.at(id).used_by_others = !gpus.at(id).used_by_others;
}

void Machine::heal() {
  for (auto& [id, gpu] : gpus) {
    gpu.lost = gpu.used_by_others = false;
  }
  for (const auto& worker : workers_) worker->deaf = worker->hung = false;
}

}  // namespace moelab::sim
