#include "server/slurm/slurm_slots.h"

#include <utility>

namespace moelab::server {

SlurmSlots::SlurmSlots(std::unique_ptr<DeviceInventory> local, int slots, std::function<Cluster()> cluster)
    : local_(std::move(local)), slots_(slots), cluster_(std::move(cluster)) {}

std::string SlurmSlots::name() const {
  return local_->name();
}
std::string SlurmSlots::note() const {
  return local_->note();
}

std::vector<Device> SlurmSlots::list() {
  std::vector<Device> devices = local_->list();
  const Cluster cluster = cluster_();
  if (!cluster.present) return devices;
  const int count = cluster.trouble.empty() ? slots_ : 1;
  for (int i = 0; i < count; ++i) {
    Device slot;
    // A name of its own: the sentence about a leased slot would hide why none can be had.
    slot.id = cluster.trouble.empty() ? "slurm" + std::to_string(i) : "slurm";
    slot.kind = DeviceKind::slurm;
    slot.index = i;
    slot.name = "Slurm job";
    slot.threads = 1;
    if (!cluster.trouble.empty()) slot.fault = "cannot be used: " + cluster.trouble;
    devices.push_back(std::move(slot));
  }
  return devices;
}

}  // namespace moelab::server
