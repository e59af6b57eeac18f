// Owns workers as Slurm jobs: submitted on hold, let go, watched, signalled, cancelled. A thread of its own asks Slurm about all jobs at
// once, every `interval`; nothing else here waits for an answer but spawn, release, terminate and kill, which give an order each. The
// dispatcher calls the Launcher's functions from its thread; trouble() and waits() may be called from any.
//
// A job belongs to this home when it works in a directory under `runs` and is named after its run. Those that no live run knows (a
// daemon died in the middle of a launch; the database was lost) are cancelled at the start, and until they have ended their runs are not
// started again.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <filesystem>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "server/launcher.h"
#include "server/slurm/slurm_client.h"
#include "server/slurm/slurm_submission.h"

namespace moelab::server {

struct SlurmOptions {
  SlurmRules rules;
  std::filesystem::path runs;                // runs/ of this home, absolute
  std::chrono::milliseconds interval{2000};  // between two questions to Slurm, while there is something to ask
  bool watch = true;                         // false: refresh() is called by hand, in tests
};

class SlurmLauncher final : public Launcher {
 public:
  // `live`: workers of live runs, as the database knows them.
  SlurmLauncher(SlurmClient client, SlurmOptions options, const std::vector<db::ProcessIdentity>& live);
  ~SlurmLauncher() override;

  // Throws core::Error as SlurmClient does; unreachable also while Slurm does not answer, at once.
  db::ProcessIdentity spawn(const LaunchRequest& request) override;
  void release(const db::ProcessIdentity& process) override;
  // This and the following throw Error(conflict) for a job of another cluster than this daemon talks to: nobody here can tell.
  std::optional<Exit> poll(const db::ProcessIdentity& process) override;
  void forget(const db::ProcessIdentity& process) override;
  bool terminate(const db::ProcessIdentity& process) override;
  void kill(const db::ProcessIdentity& process) override;
  std::string waits(const db::ProcessIdentity& process) const override;

  // One question about all jobs, and what follows from the answer. Called by the thread.
  void refresh();
  // Why no job can be started now, as a sentence; empty = nothing known against it.
  std::string trouble() const;
  // Slurm has answered at least once: there is a cluster.
  bool in_contact() const;

 private:
  enum class Stop { none, terminate, kill };
  struct Job {
    std::int64_t run_id = 0;
    std::string boot_id;            // names its cluster
    std::uint64_t known_since = 0;  // questions asked before it was known: an older answer does not speak of it
    bool gate_open = false;         // it may run
    bool let_go = false;            // and Slurm has been told
    Stop stop = Stop::none;
    bool stop_told = false;
    std::chrono::steady_clock::time_point killed_at{};
    std::optional<SlurmJob> seen;
    std::optional<Exit> exit;
  };

  void watch();
  void look();
  void take_in(const std::vector<SlurmJob>& answer, std::uint64_t question);
  void end_forgotten(std::uint64_t question);
  void sweep(const std::vector<SlurmJob>& answer);
  void repeat_orders();
  void open_gate(std::int64_t number);
  bool tell_stop(std::int64_t number, Stop stop, bool pending);
  template <class Order>
  bool give(std::int64_t number, Order&& order);
  Job& job(const db::ProcessIdentity& process);
  bool is_here(const Job& job) const;  // in the cluster that answers
  void require_reachable(const LaunchRequest& request);

  SlurmClient client_;
  std::string accounting_trouble_;  // last one logged; used by refresh() alone
  const SlurmOptions options_;
  std::mutex spawning_;  // held while a job is submitted, and while strangers' jobs are told from ours
  mutable std::mutex mutex_;  // guards what follows; never held during a command
  std::string cluster_;       // empty: no contact yet
  std::string trouble_;
  std::map<std::int64_t, Job> jobs_;  // by number
  std::uint64_t questions_ = 0;
  bool sweep_due_ = true;
  std::chrono::steady_clock::time_point sweep_until_{};  // a job that Slurm did not confirm may still come
  std::map<std::string, std::int64_t> leaving_;  // directory -> job without a run that has not ended yet
  std::vector<SlurmPartition> partitions_;
  std::chrono::steady_clock::time_point partitions_read_at_{};
  bool ending_ = false;
  std::condition_variable wake_;
  std::thread thread_;  // last: it uses all of the above
};

}  // namespace moelab::server
