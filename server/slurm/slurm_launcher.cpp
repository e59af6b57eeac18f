#include "server/slurm/slurm_launcher.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <utility>

#include "core/error.h"
#include "server/file_io.h"
#include "server/slurm/slurm_job.h"

namespace moelab::server {
namespace {

constexpr std::chrono::seconds kPartitionsKept{60};
constexpr std::chrono::seconds kFirstContact{30};  // between two tries where there may be no Slurm at all
constexpr std::chrono::seconds kKillAgain{5};  // between two orders to kill the same job: the first needs its time
constexpr std::chrono::minutes kLateJob{5};  // after sbatch did not answer

}  // namespace

SlurmLauncher::SlurmLauncher(SlurmClient client, SlurmOptions options, const std::vector<db::ProcessIdentity>& live)
    : client_(std::move(client)), options_(std::move(options)) {
  for (const db::ProcessIdentity& process : live) {
    if (is_slurm_job(process)) job(process);
  }
  if (options_.watch) thread_ = std::thread([this] { watch(); });
}

SlurmLauncher::~SlurmLauncher() {
  {
    const std::lock_guard lock(mutex_);
    ending_ = true;
  }
  wake_.notify_all();
  if (thread_.joinable()) thread_.join();
}

void SlurmLauncher::watch() {
  std::unique_lock lock(mutex_);
  while (!ending_) {
    lock.unlock();
    refresh();
    lock.lock();
    const bool idle = cluster_.empty() && jobs_.empty();
    wake_.wait_for(lock, idle ? std::max<std::chrono::milliseconds>(kFirstContact, options_.interval) : options_.interval,
                   [this] { return ending_; });
  }
}

void SlurmLauncher::refresh() {
  try {
    look();
  } catch (const std::exception& e) {
    const std::lock_guard lock(mutex_);
    const std::string trouble = std::string("Slurm does not answer: ") + e.what();
    // Where Slurm has never answered there may be none at all: that is no news.
    if (trouble != trouble_ && !cluster_.empty()) spdlog::warn("{}", trouble);
    trouble_ = trouble;
  }
}

void SlurmLauncher::look() {
  std::unique_lock lock(mutex_);
  if (cluster_.empty()) {
    lock.unlock();
    std::string cluster = client_.cluster();
    lock.lock();
    cluster_ = std::move(cluster);
  }
  if (jobs_.empty() && trouble_.empty() && !sweep_due_) return;
  const bool sweeping = sweep_due_;
  const std::uint64_t question = ++questions_;
  lock.unlock();
  std::unique_lock<std::mutex> nobody_submits(spawning_, std::defer_lock);
  if (sweeping) nobody_submits.lock();
  const std::vector<SlurmJob> answer = client_.jobs();
  take_in(answer, question);
  end_forgotten(question);
  if (sweeping) sweep(answer);
  repeat_orders();
}

void SlurmLauncher::take_in(const std::vector<SlurmJob>& answer, std::uint64_t question) {
  const std::lock_guard lock(mutex_);
  trouble_.clear();
  for (const SlurmJob& seen : answer) {
    const auto found = jobs_.find(seen.id);
    if (found == jobs_.end() || found->second.known_since >= question || found->second.exit) continue;
    Job& job = found->second;
    if (seen.name != slurm_job_name(job.run_id) || !is_here(job)) continue;
    job.seen = seen;
    if (!is_held(seen)) job.let_go = true;
    if (is_over(seen)) job.exit = exit_of(seen, options_.rules.warning);
  }
  for (auto& [number, job] : jobs_) {
    const bool listed = std::any_of(answer.begin(), answer.end(), [&](const SlurmJob& seen) {
      return seen.id == number && seen.name == slurm_job_name(job.run_id);
    });
    if (!listed && job.known_since < question) job.seen.reset();
  }
}

// Slurm forgets a job MinJobAge after its end; its accounting, where there is one, does not.
void SlurmLauncher::end_forgotten(std::uint64_t question) {
  std::vector<std::int64_t> forgotten;
  {
    const std::lock_guard lock(mutex_);
    for (const auto& [number, job] : jobs_) {
      if (!job.seen && !job.exit && job.known_since < question && is_here(job)) forgotten.push_back(number);
    }
  }
  if (forgotten.empty()) return;
  std::vector<SlurmJob> accounted;
  try {
    accounted = client_.accounted(forgotten);
  } catch (const core::Error& e) {
    if (std::exchange(accounting_trouble_, e.what()) != e.what()) spdlog::warn("how Slurm jobs ended is not known yet: {}", e.what());
    return;
  }
  accounting_trouble_.clear();
  const std::lock_guard lock(mutex_);
  for (const std::int64_t number : forgotten) {
    const auto found = jobs_.find(number);
    if (found == jobs_.end()) continue;
    Job& job = found->second;
    const auto known = std::find_if(accounted.begin(), accounted.end(), [&](const SlurmJob& a) {
      return a.id == number && a.name == slurm_job_name(job.run_id);
    });
    if (known == accounted.end()) {
      job.exit = Exit{};
      job.exit->note = "Slurm does not know job " + std::to_string(number) + " any more, and so not how it ended";
    } else if (is_over(*known)) {
      job.exit = exit_of(*known, options_.rules.warning);
    }
  }
}

void SlurmLauncher::sweep(const std::vector<SlurmJob>& answer) {
  std::map<std::string, std::int64_t> leaving;
  std::vector<std::int64_t> unknown;
  {
    const std::lock_guard lock(mutex_);
    for (const SlurmJob& seen : answer) {
      const std::filesystem::path directory(seen.work_dir);
      const bool ours = directory.parent_path() == options_.runs && "moelab-" + directory.filename().string() == seen.name;
      if (!ours || is_over(seen) || jobs_.contains(seen.id)) continue;
      leaving[seen.work_dir] = seen.id;
      if (!leaving_.contains(seen.work_dir)) spdlog::warn("Slurm job {} belongs to no live run of this home: it is cancelled", seen.id);
      if (seen.state != "COMPLETING") unknown.push_back(seen.id);
    }
    leaving_ = std::move(leaving);
    sweep_due_ = !leaving_.empty() || std::chrono::steady_clock::now() < sweep_until_;
  }
  for (const std::int64_t number : unknown) give(number, [&] { client_.cancel(number); });
}

// Gates that an earlier daemon left closed, and whatever Slurm could not take before.
void SlurmLauncher::repeat_orders() {
  std::vector<std::int64_t> closed;
  std::vector<std::pair<std::int64_t, std::pair<Stop, bool>>> stops;
  {
    const std::lock_guard lock(mutex_);
    for (const auto& [number, job] : jobs_) {
      if (job.exit || !job.seen || !is_here(job)) continue;
      if (job.stop != Stop::none && !job.stop_told) {
        stops.push_back({number, {job.stop, is_pending(*job.seen)}});
      } else if (job.gate_open && !job.let_go && job.stop == Stop::none) {
        closed.push_back(number);
      }
    }
  }
  for (const std::int64_t number : closed) open_gate(number);
  for (const auto& [number, order] : stops) tell_stop(number, order.first, order.second);
}

db::ProcessIdentity SlurmLauncher::spawn(const LaunchRequest& request) {
  const std::lock_guard spawning(spawning_);
  require_reachable(request);
  std::vector<SlurmPartition> partitions;
  std::string cluster;
  bool old = false;
  {
    const std::lock_guard lock(mutex_);
    old = partitions_.empty() || std::chrono::steady_clock::now() - partitions_read_at_ > kPartitionsKept;
    partitions = partitions_;
    cluster = cluster_;
  }
  std::int64_t number = 0;
  try {
    if (old) partitions = client_.partitions();
    const std::filesystem::path script = request.run_dir / "job.sh";
    write_file_atomically(script, kBatchScript, 0755);
    number = client_.submit(
        sbatch_arguments(request, options_.rules, partition_of(partitions, request.resources.partition), script),
        job_environment(request, slurm_environment()));
  } catch (const core::Error& e) {
    if (e.kind() == core::ErrorKind::unreachable) {
      const std::lock_guard lock(mutex_);
      trouble_ = std::string("Slurm does not answer: ") + e.what();
      sweep_due_ = true;  // the job may have been made all the same, or still be
      sweep_until_ = std::chrono::steady_clock::now() + kLateJob;
    }
    throw;
  }
  const std::lock_guard lock(mutex_);
  if (old) {
    partitions_ = std::move(partitions);
    partitions_read_at_ = std::chrono::steady_clock::now();
  }
  const db::ProcessIdentity process = slurm_identity(number, request.run_id, cluster);
  jobs_[number] = Job{};
  jobs_[number].run_id = request.run_id;
  jobs_[number].boot_id = process.boot_id;
  jobs_[number].known_since = questions_;
  return process;
}

void SlurmLauncher::require_reachable(const LaunchRequest& request) {
  const std::lock_guard lock(mutex_);
  if (!trouble_.empty()) throw core::Error(core::ErrorKind::unreachable, trouble_);
  if (cluster_.empty()) throw core::Error(core::ErrorKind::unreachable, "Slurm has not answered yet");
  const auto found = leaving_.find(request.run_dir.string());
  if (found != leaving_.end()) {
    throw core::Error(core::ErrorKind::unreachable,
                      "Slurm job " + std::to_string(found->second) + " of an earlier daemon has not ended yet in " + found->first);
  }
}

void SlurmLauncher::release(const db::ProcessIdentity& process) {
  {
    const std::lock_guard lock(mutex_);
    job(process).gate_open = true;
  }
  open_gate(process.pid);
}

void SlurmLauncher::open_gate(std::int64_t number) {
  if (!give(number, [&] { client_.release(number); })) return;
  const std::lock_guard lock(mutex_);
  if (const auto found = jobs_.find(number); found != jobs_.end()) found->second.let_go = true;
}

// One order. What Slurm cannot take now is logged, and given again after its next answer.
template <class Order>
bool SlurmLauncher::give(std::int64_t number, Order&& order) {
  {
    const std::lock_guard lock(mutex_);
    if (!trouble_.empty() || cluster_.empty()) return false;
  }
  try {
    order();
    return true;
  } catch (const core::Error& e) {
    spdlog::warn("Slurm job {}: {}", number, e.what());
    const std::lock_guard lock(mutex_);
    if (e.kind() == core::ErrorKind::unreachable) trouble_ = std::string("Slurm does not answer: ") + e.what();
    return false;
  }
}

std::optional<Exit> SlurmLauncher::poll(const db::ProcessIdentity& process) {
  const std::lock_guard lock(mutex_);
  return job(process).exit;
}

void SlurmLauncher::forget(const db::ProcessIdentity& process) {
  const std::lock_guard lock(mutex_);
  jobs_.erase(process.pid);
}

bool SlurmLauncher::terminate(const db::ProcessIdentity& process) {
  bool pending = true;
  {
    const std::lock_guard lock(mutex_);
    Job& known = job(process);
    if (known.exit || known.stop != Stop::none) return known.exit || known.stop_told;
    known.stop = Stop::terminate;
    known.stop_told = false;
    pending = !known.seen || is_pending(*known.seen);
  }
  return tell_stop(process.pid, Stop::terminate, pending);
}

void SlurmLauncher::kill(const db::ProcessIdentity& process) {
  bool pending = true;
  {
    const std::lock_guard lock(mutex_);
    Job& known = job(process);
    const auto now = std::chrono::steady_clock::now();
    if (known.exit || (known.stop == Stop::kill && now - known.killed_at < kKillAgain)) return;
    known.stop = Stop::kill;
    known.stop_told = false;
    known.killed_at = now;
    pending = !known.seen || is_pending(*known.seen);
  }
  tell_stop(process.pid, Stop::kill, pending);
}

// What is not known to run is taken out of Slurm's queue. Should it have begun meanwhile, the next answer says so, and it gets the signal.
bool SlurmLauncher::tell_stop(std::int64_t number, Stop stop, bool pending) {
  bool done = false;
  if (pending) {
    give(number, [&] { client_.cancel_if_pending(number); });
  } else {
    const char* const signal = stop == Stop::kill ? "KILL" : "TERM";
    done = give(number, [&] { client_.signal_batch(number, signal); });
    if (stop == Stop::kill) done = give(number, [&] { client_.cancel(number); }) && done;
  }
  const std::lock_guard lock(mutex_);
  if (const auto found = jobs_.find(number); found != jobs_.end()) found->second.stop_told = done;
  return done;
}

std::string SlurmLauncher::waits(const db::ProcessIdentity& process) const {
  const std::lock_guard lock(mutex_);
  const auto found = jobs_.find(process.pid);
  if (found == jobs_.end() || !found->second.seen) return "";
  if (found->second.seen->state == "SUSPENDED") return "Slurm job " + std::to_string(process.pid) + " is suspended";
  if (!is_pending(*found->second.seen)) return "";
  return "Slurm job " + std::to_string(process.pid) + " waits: " + found->second.seen->reason;
}

bool SlurmLauncher::is_here(const Job& job) const {
  return job.boot_id == kSlurmBootId + cluster_;
}

SlurmLauncher::Job& SlurmLauncher::job(const db::ProcessIdentity& process) {
  if (!cluster_.empty() && process.boot_id != kSlurmBootId + cluster_) {
    throw core::Error(core::ErrorKind::conflict, "its worker is job " + std::to_string(process.pid) + " of the cluster " +
                                                     process.boot_id.substr(std::string(kSlurmBootId).size()) +
                                                     ", and this daemon talks to " + cluster_ + "; start it with the other's SLURM_CONF");
  }
  const auto [found, adopted] = jobs_.try_emplace(process.pid);
  if (adopted) {
    found->second.run_id = process.start_ticks;
    found->second.boot_id = process.boot_id;
    found->second.known_since = questions_;
    found->second.gate_open = true;  // its identity is durable
  }
  return found->second;
}

std::string SlurmLauncher::trouble() const {
  const std::lock_guard lock(mutex_);
  return trouble_;
}

bool SlurmLauncher::in_contact() const {
  const std::lock_guard lock(mutex_);
  return !cluster_.empty();
}

}  // namespace moelab::server
