#include "server/devices/device_reader.h"

#include <utility>

#include "db/experiment_store.h"
#include "db/run_store.h"
#include "server/slurm/slurm_job.h"

namespace moelab::server {

std::vector<Lease> DeviceReader::leases() const {
  return database_.read([](db::Connection& c) {
    std::vector<Lease> list;
    db::ExperimentStore experiments(c);
    for (const db::RunRow& run : db::RunStore(c).in_states(core::live_run_states())) {
      const std::vector<db::MemberRow> listings = experiments.listings(run.id);
      list.push_back({run.device, run.id, listings.empty() ? run.name : listings.front().name,
                      run.attempt_started_at.value_or(run.queued_at), run.process && !is_slurm_job(*run.process) ? run.process->pid : 0,
                      run.gone_at.has_value()});
    }
    return list;
  });
}

void DeviceReader::shift(std::chrono::milliseconds by) {
  if (read_at_) *read_at_ += by;
  devices_.shift(by);
}

void DeviceReader::read_now() {
  read_at_.reset();
  read_if_due();
}

void DeviceReader::read_if_due() {
  const std::vector<Lease> held = leases();
  std::vector<std::string> leased;
  for (const Lease& lease : held) leased.push_back(lease.device + " " + std::to_string(lease.run_id) + (lease.gone ? " gone" : ""));
  const bool due = !read_at_ || clock_.now() - *read_at_ >= interval_;
  if (!due && leased == leased_) return;
  leased_ = std::move(leased);
  read_at_ = clock_.now();
  if (devices_.refresh(held)) bus_.devices_changed();
}

}  // namespace moelab::server
