// Owns the devices that stand for Slurm jobs: "slurm0" and on, one for each job this daemon may have at once, beside the machine's own
// devices. So queueing, leases and reasons are the same as for a GPU. Used by App.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "server/devices/device_inventory.h"

namespace moelab::server {

class SlurmSlots final : public DeviceInventory {
 public:
  struct Cluster {
    bool present = false;  // without one there are no slots
    std::string trouble;   // why no job can be started now; then there is one slot, to say so. Empty = one can
  };
  SlurmSlots(std::unique_ptr<DeviceInventory> local, int slots, std::function<Cluster()> cluster);

  std::string name() const override;
  std::string note() const override;
  std::vector<Device> list() override;

 private:
  std::unique_ptr<DeviceInventory> local_;
  int slots_;
  std::function<Cluster()> cluster_;
};

}  // namespace moelab::server
